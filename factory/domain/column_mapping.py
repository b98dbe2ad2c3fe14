"""ColumnMapping: what a tenant's column headers mean, kept under a name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row


class ColumnMapping(Row):
    """`columns`: header as written in the file → field of an order or variable of its template."""

    __tablename__ = "column_mappings"

    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    columns: Mapped[dict[str, Any]]
    saved_at: Mapped[datetime]
