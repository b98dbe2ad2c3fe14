"""find_batches: orders with their progress, counted from their jobs."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.errors import NotFound
from factory.jobs.label_filter import LabelFilter
from factory.jobs.named import named


@dataclass(frozen=True)
class FoundBatch:
    """A batch with its jobs counted by status."""

    batch: Batch
    counts: dict[str, int]

    @property
    def is_done(self) -> bool:
        return not self.counts.get(JobStatus.QUEUED.value) and not self.counts.get(JobStatus.RUNNING.value)

    @property
    def status(self) -> str:
        """queued, running, completed, partially_completed or failed: read off the jobs, never stored."""
        succeeded = self.counts.get(JobStatus.SUCCEEDED.value, 0)
        if not self.is_done:
            return "queued" if self.counts.get(JobStatus.QUEUED.value, 0) == sum(self.counts.values()) else "running"
        if succeeded == sum(self.counts.values()):
            return "completed"
        return "partially_completed" if succeeded else "failed"


def find_batch(db: Database, *, tenant: str, name: str) -> FoundBatch:
    """By id or by the client's own id. Raises NotFound, also for another tenant's."""
    with db.transaction() as session:
        return batch_in(session, tenant=tenant, name=name)


def find_own_batch(db: Database, *, tenant: str, external_id: str) -> FoundBatch:
    """Only by the client's own id. Raises NotFound."""
    with db.transaction() as session:
        return _first(session, select(Batch).where(Batch.tenant == tenant, Batch.external_id == external_id), external_id)


def batch_in(session: Session, *, tenant: str, name: str) -> FoundBatch:
    """As this transaction sees it."""
    return _first(session, named(select(Batch).where(Batch.tenant == tenant), Batch, name), name)


def _first(session: Session, statement: Select[Any], name: str) -> FoundBatch:
    batch = session.scalars(statement).first()
    if batch is None:
        raise NotFound(f"no batch {name[:80]!r} belongs to your tenant")
    return FoundBatch(batch, count_jobs(session, batch.id))


def count_jobs(session: Session, batch_id: uuid.UUID) -> dict[str, int]:
    """The jobs of a batch by status."""
    counts = session.execute(select(Job.status, func.count()).where(Job.batch_id == batch_id).group_by(Job.status)).all()
    return {status: count for status, count in counts}  # noqa: C416 (a Row is no tuple to mypy)


def list_batches(db: Database, *, tenant: str, wanted: LabelFilter, before: uuid.UUID | None = None, limit: int = 50) -> list[FoundBatch]:
    """Newest first."""
    where = [Batch.tenant == tenant, *wanted.on(Batch), *([Batch.id < before] if before else [])]
    with db.transaction() as session:
        batches = session.scalars(select(Batch).where(*where).order_by(Batch.id.desc()).limit(limit)).all()
        counts = session.execute(
            select(Job.batch_id, Job.status, func.count())
            .where(Job.batch_id.in_([batch.id for batch in batches]))
            .group_by(Job.batch_id, Job.status)
        ).all()
    tally: dict[uuid.UUID | None, dict[str, int]] = {}
    for batch_id, status, count in counts:
        tally.setdefault(batch_id, {})[status] = count
    return [FoundBatch(batch, tally.get(batch.id, {})) for batch in batches]
