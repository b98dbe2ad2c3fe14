"""Rules that no linter knows. The floors themselves are import-linter's, in pyproject.toml."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LONGEST = 200
WORN_WORDS = {"utils", "util", "helpers", "helper", "common", "manager", "managers", "misc", "base", "impl", "abstract"}
# Put together here, so that this file does not hold what it forbids.
REGISTRIES = re.compile("|".join(["pypi" + r"\.org", "pythonhosted" + r"\.org", "npmjs" + r"\.(org|com)", r"download\." + r"pytorch\.org"]))
MACHINE_PATHS = re.compile(r"(?<![\w.])/(work|opt|root|home/\w+|Users/\w+)/")


def tracked(pattern="*"):
    """The files git knows, and those it would take, without what it ignores; outside a repository, all source files."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z", pattern], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listing.returncode == 0:
        return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]
    hidden = {".venv", "out", "__pycache__"}
    return [path for path in ROOT.rglob(pattern) if path.is_file() and hidden.isdisjoint(path.relative_to(ROOT).parts)]


def text_of(path):
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


def test_there_is_something_to_check():
    assert len(tracked("*.py")) > 30
    assert ROOT / "Makefile" in tracked()


def test_no_file_is_longer_than_two_hundred_lines():
    # Revisions are records: long where the first tables are many, and never edited again.
    code = [path for path in tracked("*.py") if path.relative_to(ROOT).parts[0] in {"factory", "scripts", "bench", "demo"}]
    assert {str(path.relative_to(ROOT)): n for path in code if (n := len(text_of(path).splitlines())) > LONGEST} == {}


def test_no_file_or_class_has_a_name_that_says_nothing():
    files = [str(p.relative_to(ROOT)) for p in tracked("*.py") if WORN_WORDS & set(re.split(r"[/_.]", str(p.relative_to(ROOT)).lower()))]
    classes = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in tracked("*.py")
        for name in re.findall(r"^class (\w+)", text_of(path), re.MULTILINE)
        if WORN_WORDS & {word.lower() for word in re.findall(r"[A-Z][a-z]+", name)} and name != "Base"
    ]
    assert files == []
    assert classes == []


@pytest.mark.parametrize("forbidden", [REGISTRIES, MACHINE_PATHS], ids=["registry hosts", "machine paths"])
def test_no_file_names_a_registry_or_a_path_of_one_machine(forbidden):
    files = [path for path in tracked() if (ROOT / "infra" / "docker") not in path.parents]  # an image has paths of its own
    found = {f"{path.relative_to(ROOT)}: {hit.group()}" for path in files for hit in forbidden.finditer(text_of(path))}
    assert found == set()


@pytest.mark.parametrize("door", ["api", "cli"])
def test_a_door_loads_neither_torch_nor_boto3(door):
    assert (ROOT / "factory" / door).is_dir()
    program = f"import factory.{door}, sys; print([name for name in ('torch', 'diffusers', 'boto3') if name in sys.modules])"
    seen = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)
    assert seen.stdout.strip() == "[]", seen.stderr
