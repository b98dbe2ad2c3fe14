"""find_batches: orders with their progress, counted from their jobs; what was retried counts once, as its newest job."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, func, select
from sqlalchemy.orm import Session

from factory.db import Database, among
from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.status import Hold, JobStatus
from factory.errors import NotFound
from factory.jobs.label_filter import LabelFilter
from factory.jobs.match_twins import NOTHING_REUSED, REUSED, Reuse
from factory.jobs.named import named
from factory.jobs.pace import UNKNOWN, WINDOW, Pace, measure

DRAWN = [JobStatus.SUCCEEDED.value, JobStatus.FAILED.value, JobStatus.REJECTED.value]


@dataclass(frozen=True)
class FoundBatch:
    """A batch with its jobs counted by status, and how fast it goes."""

    batch: Batch
    counts: dict[str, int]
    pace: Pace = UNKNOWN
    reuse: Reuse = NOTHING_REUSED

    @property
    def is_done(self) -> bool:
        return not self.batch.unread and is_done(self.counts)

    @property
    def status(self) -> str:
        """paused, reading, queued, running, completed, partially_completed, failed or canceled: read off the order and its jobs, never
        stored."""
        return "paused" if self.batch.paused_at and not self.is_done else status_of(self.batch, self.counts)


def is_done(counts: dict[str, int]) -> bool:
    return not counts.get(JobStatus.QUEUED.value) and not counts.get(JobStatus.RUNNING.value)


def status_of(batch: Batch, counts: dict[str, int]) -> str:
    """What these counts make of a batch that nobody paused. With rows refused when ordering, not all of the order was delivered."""
    if batch.unread or batch.problem:
        return "reading" if batch.unread else "failed"
    total, succeeded = sum(counts.values()), counts.get(JobStatus.SUCCEEDED.value, 0)
    if not is_done(counts):
        return "queued" if counts.get(JobStatus.QUEUED.value, 0) == total else "running"
    if succeeded == total and succeeded and not batch.rows_refused:
        return "completed"
    if succeeded:
        return "partially_completed"
    return "canceled" if counts.get(JobStatus.CANCELED.value, 0) == total else "failed"


def find_batch(db: Database, *, tenant: str, name: str) -> FoundBatch:
    """By id or by the client's own id. Raises NotFound, also for another tenant's."""
    with db.transaction() as session:
        return batch_in(session, tenant=tenant, name=name, now=db.now())


def find_own_batch(db: Database, *, tenant: str, external_id: str) -> FoundBatch:
    """Only by the client's own id. Raises NotFound."""
    with db.transaction() as session:
        batch = _first(session, select(Batch).where(Batch.tenant == tenant, Batch.external_id == external_id), external_id)
        return _found(session, batch, db.now())


def batch_in(session: Session, *, tenant: str, name: str, now: ColumnElement[Any] | None = None) -> FoundBatch:
    """As this transaction sees it."""
    return _found(session, batch_row(session, tenant=tenant, name=name), func.now() if now is None else now)


def batch_row(session: Session, *, tenant: str, name: str) -> Batch:
    """By either id, uncounted. Raises NotFound."""
    return _first(session, named(select(Batch).where(Batch.tenant == tenant), Batch, name), name)


def count_jobs(session: Session, batch_id: uuid.UUID, *where: ColumnElement[bool]) -> dict[str, int]:
    """The jobs of a batch by status, without those that a retry has replaced."""
    rows = session.execute(_counted(Job.status, func.count()).where(Job.batch_id == batch_id, *where).group_by(Job.status))
    return {row[0]: row[1] for row in rows}


def list_batches(db: Database, *, tenant: str, wanted: LabelFilter, before: uuid.UUID | None = None, limit: int = 50) -> list[FoundBatch]:
    """Newest first."""
    where = [Batch.tenant == tenant, *wanted.on(Batch), *([Batch.id < before] if before else [])]
    with db.transaction() as session:
        batches = session.scalars(select(Batch).where(*where).order_by(Batch.id.desc()).limit(limit)).all()
        progress = _progress(session, [batch.id for batch in batches], db.now())
    return [_of_rows(batch, progress.get(batch.id, [])) for batch in batches]


def _first(session: Session, statement: Select[Any], name: str) -> Batch:
    batch: Batch | None = session.scalars(statement).first()
    if batch is None:
        raise NotFound(f"no batch {name[:80]!r} belongs to your tenant")
    return batch


def _found(session: Session, batch: Batch, now: ColumnElement[Any]) -> FoundBatch:
    return _of_rows(batch, _progress(session, [batch.id], now).get(batch.id, []))


def _counted(*columns: Any) -> Any:
    return select(*columns).where(Job.superseded.is_(False))


def _progress(session: Session, batches: Sequence[uuid.UUID], now: ColumnElement[Any]) -> dict[Any, list[Row[Any]]]:
    """One row for each batch and status, in one walk over their jobs."""
    drawn = Job.status.in_(DRAWN) & Job.started_at.is_not(None)
    rows = session.execute(
        _counted(
            Job.batch_id,
            Job.status,
            func.count().label("jobs"),
            func.count().filter(Job.hold == Hold.TWIN.value).label("twins"),
            func.count(Job.twin_id).label("reused"),
            func.coalesce(func.sum(Job.cost).filter(Job.twin_id.is_not(None)), 0.0).label("saved"),
            func.count().filter(drawn, Job.finished_at > now - WINDOW).label("recent"),
            func.min(Job.started_at).label("first_start"),
            func.max(Job.not_before).filter(Job.hold == Hold.SCHEDULED.value).label("last_start"),
            now.label("moment"),
        )
        .where(among(Job.batch_id, batches))
        .group_by(Job.batch_id, Job.status)
    ).all()
    found: dict[Any, list[Row[Any]]] = {}
    for row in rows:
        found.setdefault(row.batch_id, []).append(row)
    return found


def _of_rows(batch: Batch, rows: Sequence[Row[Any]]) -> FoundBatch:
    counts = {row.status: row.jobs for row in rows}
    kept = [row for row in rows if row.status in REUSED]
    reuse = Reuse(sum(row.reused for row in kept), float(sum(row.saved for row in kept)))
    if is_done(counts):
        return FoundBatch(batch, counts, reuse=reuse)
    starts = [row.first_start for row in rows if row.first_start]
    open_jobs = counts.get(JobStatus.QUEUED.value, 0) + counts.get(JobStatus.RUNNING.value, 0)
    pace = measure(
        drawn=sum(row.recent for row in rows),
        left=open_jobs - sum(row.twins for row in rows),
        first_start=min(starts, default=None),
        not_before=max((row.last_start for row in rows if row.last_start), default=None),
        now=rows[0].moment,
    )
    return FoundBatch(batch, counts, Pace(pace.per_minute, None) if batch.paused_at else pace, reuse)
