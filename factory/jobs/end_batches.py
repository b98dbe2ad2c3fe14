"""end_batches: a batch of which nothing waits or runs any more has ended, and the log says how."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import ColumnElement, null, select, true, update
from sqlalchemy.orm import Session

from factory.db import Database, among
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.jobs.find_batches import count_jobs, status_of
from factory.jobs.log_event import log_event

UPKEEP = Actor("upkeep", "end_batches")
OPEN = [JobStatus.QUEUED.value, JobStatus.RUNNING.value]
CHUNK = 100


def end_batches(db: Database) -> int:
    """Returns how many ended. Safe to repeat and to run twice at once."""
    ended, after = 0, uuid.UUID(int=0)
    while True:
        with db.transaction() as session:
            found = _without_open_jobs(session, after)
        for batch_id in (row.id for row in found if not row.is_open):
            with db.transaction() as session:
                ended += _end(session, batch_id, db.now())
        if len(found) < CHUNK:
            return ended
        after = found[-1].id


def reopen(session: Session, batch_ids: Collection[uuid.UUID]) -> None:
    """Before jobs of ended batches wait again, in the same transaction: the row's lock keeps `end_batches` from ending them meanwhile."""
    if batch_ids:
        locked = select(Batch.id).where(among(Batch.id, batch_ids)).order_by(Batch.id).with_for_update(key_share=True)
        reopened = update(Batch).where(Batch.id.in_(locked)).values(ended_at=null())
        session.execute(reopened.execution_options(synchronize_session=False))


def _without_open_jobs(session: Session, after: uuid.UUID) -> Sequence[Any]:
    """Batches that have not ended, and whether a job of each is open.

    Asked from the last row backwards: rows are drawn from the first on, so the answer mostly is the first one looked at.
    """
    job = (
        select(Job.id)
        .where(Job.batch_id == Batch.id, Job.status.in_(OPEN))
        .order_by(Job.row_no.desc())
        .limit(1)
        .correlate(Batch)
        .lateral("open_job")
    )
    statement = (
        select(Batch.id, job.c.id.is_not(None).label("is_open"))
        .select_from(Batch)
        .outerjoin(job, true())
        .where(Batch.ended_at.is_(None), Batch.unread.is_(False), Batch.id > after)
        .order_by(Batch.id)
        .limit(CHUNK)
    )
    return session.execute(statement).all()


def _end(session: Session, batch_id: uuid.UUID, now: ColumnElement[Any]) -> bool:
    """Looked at again under the batch's lock: a retry may have come between."""
    mine = [Batch.id == batch_id, Batch.ended_at.is_(None), Batch.unread.is_(False)]
    batch = session.scalars(select(Batch).where(*mine).with_for_update(key_share=True)).first()
    if batch is None or session.scalars(select(Job.id).where(Job.batch_id == batch_id, Job.status.in_(OPEN)).limit(1)).first():
        return False
    session.execute(update(Batch).where(Batch.id == batch_id).values(ended_at=now, paused_at=null()))
    counts = count_jobs(session, batch_id)
    status = status_of(batch, counts)
    detail = {"status": status, "counts": counts, "accepted": batch.rows_accepted, "refused": batch.rows_refused}
    if batch.problem:
        detail["problem"] = batch.problem["code"]
    log_event(session, now=now, tenant=batch.tenant, actor=UPKEEP, action=AuditAction.BATCH_ENDED, batch_id=batch_id, detail=detail)
    return True
