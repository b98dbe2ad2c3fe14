"""Tenant, and the counters that give its files gap-free names."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import CheckConstraint, ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row


class Tenant(Row):
    """`id` is a slug; it is the first part of every storage key."""

    __tablename__ = "tenants"
    __table_args__ = (CheckConstraint("id ~ '^[a-z0-9][a-z0-9-]{0,62}$'", name="slug"),)

    id: Mapped[str] = mapped_column(primary_key=True)
    created_at: Mapped[datetime]


class NameCounter(Row):
    """The last number given to a file of this tenant, project and day."""

    __tablename__ = "name_counters"

    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"), primary_key=True)
    project: Mapped[str] = mapped_column(primary_key=True)
    day: Mapped[date] = mapped_column(primary_key=True)
    last: Mapped[int]
