"""The condition that finds a row by our id or by the client's own."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import ColumnElement, or_


def named(table: Any, name: str) -> ColumnElement[bool]:
    try:
        return or_(table.id == uuid.UUID(name), table.external_id == name)
    except ValueError:
        matching: ColumnElement[bool] = table.external_id == name
        return matching
