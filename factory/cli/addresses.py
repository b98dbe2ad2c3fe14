"""How a running stack is reached, as rows of a panel."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from factory.cli.home import ROOT

ENGINE_WORDS = {
    "zimage": "zimage with the demo checkpoint: a toy that knows ten things to draw (demo/README.md)",
    "simulated": "simulated (torch is missing or not wanted): cards with the prompt on them",
}


def near(path: str) -> str:
    """Relative to the working folder where it lies below."""
    return str(Path(path).relative_to(Path.cwd())) if Path(path).is_relative_to(Path.cwd()) else path


def command_here() -> str:
    """What to type for `factory` in this folder: the launcher that set-up wrote, else the module."""
    launcher = ROOT / ".venv" / "bin" / "factory"
    return shlex.quote(near(str(launcher))) if launcher.exists() else "python -m factory"


def addresses(facts: dict[str, Any]) -> list[tuple[str, str]]:
    return [
        ("API", facts["url"]),
        ("OpenAPI", f"{facts['url']}/api/v1/openapi.json"),
        ("API key", f"in {near(facts['key_file'])}, tenant demo"),
        ("For curl", f". {shlex.quote(near(facts['client_file']))}   (sets URL and KEY)"),
        ("Flower", facts["flower_url"]),
        ("Flower login", f"{facts['flower_user']} {facts['flower_password']}"),
    ]
