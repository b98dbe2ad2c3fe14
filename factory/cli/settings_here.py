"""Settings for commands that touch the database: the environment's, else those of the embedded stack in this checkout."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from factory.cli.exit_codes import Usage
from factory.cli.home import home

if TYPE_CHECKING:
    from factory.db import Database
    from factory.settings import Settings


def settings_here() -> Settings:
    """Raises Usage that names every missing variable."""
    from pydantic import ValidationError

    from factory.settings import Settings

    try:
        return Settings(_env_file=_env_file())
    except ValidationError as wrong:
        raise Usage(explain(wrong)) from None


def adopt_env_file() -> None:
    """Let whatever reads the settings later, in this process or its children, find the same ones."""
    if found := _env_file():
        os.environ["FACTORY_ENV_FILE"] = found


def _env_file() -> str | None:
    given = os.environ.get("FACTORY_ENV_FILE")
    if not given and "FACTORY_DATABASE_URL" not in os.environ and home().env_file.exists():
        return str(home().env_file)
    return given


def explain(wrong: Exception) -> str:
    """One line for all variables that are missing or wrong; values are not repeated, they may be secrets."""
    from pydantic import ValidationError

    faults = wrong.errors(include_input=False) if isinstance(wrong, ValidationError) else []
    missing = [_variable(fault["loc"]) for fault in faults if fault["type"] == "missing"]
    parts = [f"missing: {', '.join(missing)}"] if missing else []
    parts += [f"{_variable(fault['loc'])}: {fault['msg']}" for fault in faults if fault["type"] != "missing"]
    return f"settings: {'; '.join(parts)}. Set them, name a file in FACTORY_ENV_FILE, or start a stack with `factory up`"


def _variable(location: tuple[int | str, ...]) -> str:
    return "FACTORY_" + "_".join(str(part) for part in location).upper()


@contextmanager
def open_database() -> Iterator[Database]:
    """The database of `settings_here`, closed afterwards. A missing schema is said so."""
    from sqlalchemy.exc import ProgrammingError

    from factory.bootstrap import build_database

    db = build_database(settings_here(), pool_size=1)
    try:
        yield db
    except ProgrammingError as fault:
        if type(fault.orig).__name__ == "UndefinedTable":
            raise Usage("the database has no tables yet: run `factory migrate`") from fault
        raise
    finally:
        db.close()


def operator() -> str:
    """Who runs this command, for the audit log."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return f"uid {os.getuid()}"
