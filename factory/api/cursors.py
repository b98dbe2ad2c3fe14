"""Cursors: where a list goes on. Opaque to clients; they carry no rights, so they are not signed."""

from __future__ import annotations

import uuid
from base64 import urlsafe_b64decode, urlsafe_b64encode

from factory.errors import Invalid, Problem


def write_cursor(last: uuid.UUID | int) -> str:
    return urlsafe_b64encode(str(last).encode()).decode().rstrip("=")


def read_uuid(cursor: str | None) -> uuid.UUID | None:
    """Raises Invalid for a text that no list of ours gave out."""
    try:
        return uuid.UUID(_text(cursor)) if cursor else None
    except ValueError as fault:
        raise _strange(cursor) from fault


def read_number(cursor: str | None) -> int | None:
    """The same for lists that are ordered by a number."""
    try:
        number = int(_text(cursor)) if cursor else None
    except ValueError as fault:
        raise _strange(cursor) from fault
    if number is not None and not 0 < number < 2**63:
        raise _strange(cursor)
    return number


def _text(cursor: str) -> str:
    return urlsafe_b64decode(cursor.encode() + b"=" * (-len(cursor) % 4)).decode()


def _strange(cursor: str | None) -> Invalid:
    return Invalid(None, Problem("bad_cursor", "cursor: pass `next_cursor` of the page before, or none for the first", "/cursor", cursor))
