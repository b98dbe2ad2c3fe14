"""The documents tell what the repository holds."""

import re
import tomllib
from pathlib import Path

import pytest

from factory.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
PAGES = [ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md")] + sorted(
    (ROOT / "docs").rglob("*.md")
)
ADRS = sorted((ROOT / "docs" / "adr").glob("[0-9]*.md"))


def is_there(room):
    return any((ROOT / "factory" / name).exists() for name in (room, f"{room}.py"))


def test_architecture_names_the_floors_of_the_import_contract_in_its_order():
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layers = [[room for name in layer.split("|") if is_there(room := name.strip(" ()"))] for layer in contracts[0]["layers"]]
    rows = re.findall(r"^\| (\d) \| ([^|]*) \|", (ROOT / "ARCHITECTURE.md").read_text(), re.MULTILINE)
    assert [re.findall(r"`(\w+)`", rooms) for _, rooms in rows] == layers
    assert [number for number, _ in rows] == sorted((number for number, _ in rows), reverse=True)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)\)", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_variables_exist(page):
    outside = {"FACTORY_ENV_FILE", "FACTORY_SECRETS_DIR", "FACTORY_TORCH", "FACTORY_HOME", "FACTORY_URL", "FACTORY_API_KEY"}
    named = set(re.findall(r"\bFACTORY_[A-Z0-9_]*[A-Z0-9]\b", page.read_text()))
    assert named <= {f"FACTORY_{name.upper()}" for name in Settings.model_fields} | outside


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_metrics_exist(page):
    known = set(re.findall(r'"(factory_\w+)"', (ROOT / "factory" / "metrics.py").read_text()))
    named = set(re.findall(r"`(factory_(?:oldest|ring|load|spooled|jobs|pictures|gpu|cache|claim)\w*)`", page.read_text()))
    assert named <= known


def test_every_decision_is_short_has_its_parts_and_is_listed():
    assert len(ADRS) >= 12
    index = (ROOT / "docs" / "adr" / "README.md").read_text()
    for number, path in enumerate(ADRS, 1):
        text = path.read_text()
        assert path.name.startswith(f"{number:04d}-")
        assert path.name in index
        assert all(f"**{part}.**" in text for part in ("Context", "Decision", "Consequences", "Library"))
        assert len(text.splitlines()) <= 20


def test_commands_of_make_in_the_documents_exist():
    targets = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {name for page in PAGES for name in re.findall(r"`make (\w+)`", page.read_text())} <= targets
