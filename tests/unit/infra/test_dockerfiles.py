"""The Dockerfiles: linted, and built from what the repository holds."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
FILES = sorted((ROOT / "infra" / "docker").glob("*.Dockerfile"))
HADOLINT = str(Path(sys.executable).parent / "hadolint")


def lint(path):
    return subprocess.run([HADOLINT, str(path)], capture_output=True, text=True, check=False)


def test_there_are_two_images():
    assert [path.name for path in FILES] == ["api.Dockerfile", "gpu-worker.Dockerfile"]
    assert shutil.which(HADOLINT)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(path):
    done = lint(path)
    assert done.returncode == 0, done.stdout + done.stderr


def test_hadolint_can_fail(tmp_path):
    wrong = tmp_path / "Dockerfile"
    wrong.write_text("FROM debian\nRUN cd /tmp && sudo apt-get install curl\n")
    assert lint(wrong).returncode == 1


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_image_runs_as_a_plain_user_and_copies_what_exists(path):
    text = path.read_text()
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE)[-1] == "10001:10001"
    copied = [name for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE) for name in line.split()[:-1]]
    let_in = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for name in copied:
        assert (ROOT / name).exists(), name
        assert name.split("/")[0] in let_in, f"{name} is kept from the builder by .dockerignore"


def test_the_api_image_has_no_torch():
    text = (ROOT / "infra" / "docker" / "api.Dockerfile").read_text()
    assert "engine.lock" not in text
    assert not re.search(r"^torch", (ROOT / "requirements" / "core.lock").read_text(), re.MULTILINE)
