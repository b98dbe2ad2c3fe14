"""What a block sends to the database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from sqlalchemy import event

from factory.db import Compiled, Database


@contextmanager
def texts_sent(db: Database) -> Iterator[list[str]]:
    """One text for each time that one was sent. The server parses, plans and keeps each text that differs, and so does SQLAlchemy."""
    sent: list[str] = []

    def note(*seen: Any) -> None:
        sent.append(seen[2])

    def run(self: Compiled, *how: Any) -> list[Any]:
        sent.append(self.sql)
        return compiled(self, *how)

    compiled = Compiled.run
    event.listen(db.engine, "before_cursor_execute", note)
    try:
        with patch.object(Compiled, "run", run):
            yield sent
    finally:
        event.remove(db.engine, "before_cursor_execute", note)
