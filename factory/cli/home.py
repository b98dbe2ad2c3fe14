"""The folder of the embedded stack: what lies where, and how other commands find a running one."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Home:
    """`env_file` holds every setting of the last start, `facts_file` the addresses while it runs, `key_file` the demo tenant's API key;
    `client_file` gives address and key to a shell."""

    folder: Path

    @property
    def env_file(self) -> Path:
        return self.folder / "factory.env"

    @property
    def facts_file(self) -> Path:
        return self.folder / "running.json"

    @property
    def key_file(self) -> Path:
        return self.folder / "api-key"

    @property
    def client_file(self) -> Path:
        return self.folder / "client.env"

    @property
    def ports_file(self) -> Path:
        return self.folder / "ports.json"

    @property
    def pictures(self) -> Path:
        return self.folder / "pictures"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def write_env(self, env: Mapping[str, str]) -> None:
        write_private(self.env_file, "".join(f"{name}={_quoted(value)}\n" for name, value in env.items()))

    def write_client(self, url: str, key: str) -> None:
        """For `. client.env`: URL and KEY as README's curl lines say, and the names that the CLI reads."""
        values = {"URL": url, "KEY": key, "FACTORY_URL": url, "FACTORY_API_KEY": key}
        write_private(self.client_file, "".join(f"export {name}={shlex.quote(value)}\n" for name, value in values.items()))

    def facts(self) -> dict[str, Any]:
        """What `factory up` wrote about itself; empty when none runs here."""
        return read_json(self.facts_file)


def home() -> Home:
    """FACTORY_HOME, else `.factory` in the checkout."""
    return Home(Path(os.environ.get("FACTORY_HOME") or ROOT / ".factory").resolve())


def read_json(file: Path) -> dict[str, Any]:
    """Empty when the file is missing or half-written."""
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def write_private(file: Path, content: str) -> None:
    """Whole or not at all, readable by its owner only."""
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(content)
    fresh.replace(file)


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
