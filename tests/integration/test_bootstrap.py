"""Set-up in a checkout of its own whose path has a space: cold, warm, two at once, moved, tampered with. One small package stands for all."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cpu_time import least_seconds

pytestmark = pytest.mark.timeout(900)

ROOT = Path(__file__).resolve().parents[2]
PROBE = ["--", "python", "-c", "import sys, click; print(sys.prefix)"]


@pytest.fixture
def checkout(tmp_path):
    root = tmp_path / "a checkout"
    for name in ("scripts", "requirements"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("engine", "dev"):
        (root / "requirements" / f"{name}.lock").write_text("")
    block = re.search(r"^click==.*?(?=^\S)", (ROOT / "requirements" / "core.lock").read_text(), re.MULTILINE | re.DOTALL)
    assert block
    (root / "requirements" / "core.lock").write_text(block.group())
    return root


def begin(root, *arguments):
    outside = [part for part in os.environ.get("PATH", "").split(os.pathsep) if not part.startswith(str(ROOT))]
    env = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    env.update(FACTORY_TORCH="none", PATH=os.pathsep.join(outside))
    command = [sys.executable, str(root / "scripts" / "bootstrap.py"), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env, cwd=root.parent)


def bootstrap(root, *arguments):
    process = begin(root, *arguments)
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


def test_cold_then_warm_then_moved(checkout):
    code, out, err = bootstrap(checkout, *PROBE)
    assert (code, out.strip()) == (0, str(checkout / ".venv")), err
    assert "FACTORY_TORCH=none" in err
    assert "ready in" in err

    def warm():
        began = time.monotonic()
        assert bootstrap(checkout, *PROBE) == (0, f"{checkout / '.venv'}\n", "")
        return time.monotonic() - began

    assert least_seconds(warm, below=2) < 2

    copy = checkout.with_name("a copy")
    shutil.copytree(checkout, copy, symlinks=True)
    code, out, err = bootstrap(copy, *PROBE)
    assert (code, out.strip()) == (0, str(copy / ".venv")), err
    assert bootstrap(checkout, *PROBE) == (0, f"{checkout / '.venv'}\n", "")


def test_two_at_once_install_once(checkout):
    both = [begin(checkout, *PROBE) for _ in range(2)]
    outputs = [process.communicate(timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], outputs
    assert "".join(err for _, err in outputs).count("ready in") == 1


def test_a_changed_lock_is_installed_and_dev_covers_run(checkout):
    assert bootstrap(checkout, "--profile", "dev")[0] == 0
    assert bootstrap(checkout, "--profile", "run")[2] == ""
    with (checkout / "requirements" / "engine.lock").open("a") as lock:
        lock.write("# changed\n")
    assert "ready in" in bootstrap(checkout, "--profile", "run")[2]


def test_a_package_that_is_not_the_one_in_the_lock_is_refused(checkout):
    lock = checkout / "requirements" / "core.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + "0" * 64, lock.read_text()))
    code, _, err = bootstrap(checkout, *PROBE)
    assert code != 0
    assert "hash" in err.lower()
    assert "core" not in json.loads((checkout / ".venv" / "factory-stamp.json").read_text())


def test_the_exit_code_and_the_arguments_are_the_commands_own(checkout):
    code, out, _ = bootstrap(checkout, "--", "python", "-c", "import sys; print(sys.argv[1:]); sys.exit(3)", "--profile", "a b")
    assert (code, out.strip()) == (3, "['--profile', 'a b']")
