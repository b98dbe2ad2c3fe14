"""column_mappings: what a tenant's column headers mean, kept under names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.column_mapping import ColumnMapping
from factory.errors import NotFound


def save_mapping(session: Session, now: ColumnElement[Any], *, tenant: str, name: str, columns: Mapping[str, str]) -> None:
    """In the caller's transaction: a new one, or a new meaning of an old one."""
    statement = insert(ColumnMapping).values(tenant=tenant, name=name, columns=dict(columns), saved_at=now)
    index = [ColumnMapping.tenant, ColumnMapping.name]
    changed = {"columns": statement.excluded["columns"], "saved_at": statement.excluded.saved_at}
    session.execute(statement.on_conflict_do_update(index_elements=index, set_=changed))


def find_mapping(db: Database, *, tenant: str, name: str) -> ColumnMapping:
    """Raises NotFound."""
    with db.transaction() as session:
        return mapping_in(session, tenant=tenant, name=name)


def mapping_in(session: Session, *, tenant: str, name: str) -> ColumnMapping:
    """As this transaction sees it. Raises NotFound."""
    found = session.get(ColumnMapping, (tenant, name))
    if found is None:
        raise NotFound(f"no column mapping {name[:80]!r} belongs to your tenant; save one with remember=NAME or PUT /api/v1/mappings/NAME")
    return found


def list_mappings(db: Database, *, tenant: str) -> list[ColumnMapping]:
    """All of them, by name; there are few."""
    with db.transaction() as session:
        return list(session.scalars(select(ColumnMapping).where(ColumnMapping.tenant == tenant).order_by(ColumnMapping.name)))


def forget_mapping(db: Database, *, tenant: str, name: str) -> None:
    """Raises NotFound."""
    with db.transaction() as session:
        session.delete(mapping_in(session, tenant=tenant, name=name))
