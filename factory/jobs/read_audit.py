"""read_audit: what auditors ask the log, one page at a time, in a stable order."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select

from factory.db import Database
from factory.domain.audit_event import AuditAction, AuditEvent
from factory.domain.generation import Generation
from factory.errors import Invalid, Problem

PAGE = 500
BLOCKED = "blocked"


@dataclass(frozen=True)
class AuditFilter:
    """Empty fields do not filter. `since` and `until` are aware datetimes."""

    tenant: str | None = None
    job: uuid.UUID | None = None
    batch: uuid.UUID | None = None
    sku: str | None = None
    user: str | None = None
    key: str | None = None
    model: str | None = None
    seed: str | None = None
    decision: str | None = None
    action: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def of_generations(self) -> list[ColumnElement[bool]]:
        """Raises Invalid for a filter that only events have: ignoring it would answer another question."""
        if self.action is not None:
            message = "records carry no action; ask for events, or leave it out"
            raise Invalid(None, Problem("filter_not_for_records", message, "/action", self.action))
        equal = {
            Generation.tenant: self.tenant,
            Generation.job_id: self.job,
            Generation.batch_id: self.batch,
            Generation.sku: self.sku,
            Generation.end_user: self.user,
            Generation.caller: self.key,
            Generation.checkpoint: self.model,
            Generation.seed: self.seed,
            Generation.decision: self.decision,
        }
        times = [*([Generation.at >= self.since] if self.since else []), *([Generation.at < self.until] if self.until else [])]
        return [*(column == value for column, value in equal.items() if value is not None), *times]

    def of_events(self) -> list[ColumnElement[bool]]:
        """Raises Invalid for a filter that only records have. `decision` may ask for what rules refused, and for nothing else."""
        for name in ("user", "model", "seed", *(["decision"] if self.decision != BLOCKED else [])):
            if getattr(self, name) is not None:
                message = f"events carry no such {name}; ask for records, or filter events by job, batch, sku, key or action"
                raise Invalid(None, Problem("filter_not_for_events", message, f"/{name}", getattr(self, name)))
        equal = {
            AuditEvent.tenant: self.tenant,
            AuditEvent.job_id: self.job,
            AuditEvent.batch_id: self.batch,
            AuditEvent.sku: self.sku,
            AuditEvent.actor: self.key,
            AuditEvent.action: self.action,
        }
        blocked = [AuditEvent.action == AuditAction.PROMPT_REJECTED.value] if self.decision == BLOCKED else []
        times = [*blocked, *([AuditEvent.at >= self.since] if self.since else []), *([AuditEvent.at < self.until] if self.until else [])]
        return [*(column == value for column, value in equal.items() if value is not None), *times]


def list_generations(db: Database, wanted: AuditFilter, *, before: uuid.UUID | None = None, limit: int = 50) -> list[Generation]:
    """Newest first."""
    where = [*wanted.of_generations(), *([Generation.id < before] if before else [])]
    with db.transaction() as session:
        return list(session.scalars(select(Generation).where(*where).order_by(Generation.id.desc()).limit(limit)))


def list_events(db: Database, wanted: AuditFilter, *, before: int | None = None, limit: int = 50) -> list[AuditEvent]:
    """Newest first."""
    where = [*wanted.of_events(), *([AuditEvent.id < before] if before else [])]
    with db.transaction() as session:
        return list(session.scalars(select(AuditEvent).where(*where).order_by(AuditEvent.id.desc()).limit(limit)))


def export_generations(db: Database, wanted: AuditFilter) -> Iterator[Generation]:
    """Every matching record, oldest first."""
    return _pages(db, Generation, wanted.of_generations())


def export_events(db: Database, wanted: AuditFilter) -> Iterator[AuditEvent]:
    """Every matching event, oldest first. Raises Invalid at once for a filter that events do not have."""
    return _pages(db, AuditEvent, wanted.of_events())


def _pages(db: Database, table: type[Any], where: list[ColumnElement[bool]]) -> Iterator[Any]:
    """In pages, so that no transaction stays open while the reader is slow. What commits meanwhile may be missed: end the
    range with `until` a minute ago to have all of it."""
    after: list[ColumnElement[bool]] = []
    while True:
        with db.transaction() as session:
            page = list(session.scalars(select(table).where(*where, *after).order_by(table.id).limit(PAGE)))
        yield from page
        if len(page) < PAGE:
            return
        after = [table.id > page[-1].id]
