"""migrate: bring a database to a schema version, as its owner."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

ROOT = Path(__file__).resolve().parents[2]


def migrations(url: str = "") -> Config:
    """Alembic's configuration for this checkout; `url` is the owner's."""
    config = Config(ROOT / "alembic.ini")
    if url:
        config.set_main_option("sqlalchemy.url", url.replace("%", "%%"))
    return config


def migrate(url: str, revision: str = "head") -> None:
    """Upgrade to `revision`. Running it again is harmless."""
    command.upgrade(migrations(url), revision)


def newest_revision() -> str:
    """The single head; raises when branches were left unmerged."""
    return str(ScriptDirectory.from_config(migrations()).get_current_head())
