"""Rows by our id or by the client's own."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import Select, or_


def named(statement: Select[Any], table: Any, name: str) -> Select[Any]:
    """Our id comes first: a client's own id that equals another row's id does not hide that row."""
    try:
        ours = table.id == uuid.UUID(name)
    except ValueError:
        return statement.where(table.external_id == name)
    return statement.where(or_(ours, table.external_id == name)).order_by(ours.desc())
