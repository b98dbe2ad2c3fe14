"""`.venv/bin/factory`, as set-up writes it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import bootstrap
import launcher

ROOT = Path(__file__).resolve().parents[3]


def venv_with_this_python(folder):
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (folder / "bin" / "python").chmod(0o755)
    return folder


def test_the_launcher_runs_from_any_folder_even_beside_another_factory(tmp_path):
    written = launcher.write(venv_with_this_python(tmp_path / "it's a venv"), ROOT)
    (tmp_path / "factory").mkdir()
    (tmp_path / "factory" / "__init__.py").write_text("raise SystemExit('not this one')")
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    seen = subprocess.run([written, "jobs", "--help"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert seen.returncode == 0, seen.stderr
    assert "dead-letters" in seen.stdout


def test_it_is_written_once_and_again_for_another_checkout(tmp_path):
    venv = venv_with_this_python(tmp_path / "venv")
    written = launcher.write(venv, ROOT)
    first = written.stat().st_ino
    assert launcher.write(venv, ROOT).stat().st_ino == first
    assert str(tmp_path) in launcher.write(venv, tmp_path).read_text().split("PYTHONPATH=")[1].split()[0]
    assert [file.name for file in (venv / "bin").glob("factory*")] == ["factory"]


def test_documents_name_the_launcher_where_set_up_writes_it():
    named = set(re.findall(r"[\w./]*bin/factory\b", (ROOT / "README.md").read_text()))
    assert named == {str((bootstrap.VENV / "bin" / "factory").relative_to(bootstrap.ROOT))}
