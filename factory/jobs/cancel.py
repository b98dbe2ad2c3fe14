"""cancel: a customer no longer wants a job or a batch. Idempotent; a running picture stops at its next step."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from sqlalchemy import ColumnElement

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.jobs.change_status import JOBS, change_status, pick
from factory.jobs.log_event import log_event


@dataclass(frozen=True)
class CancelReceipt:
    """`canceled` jobs ended by this call; `gpu_seconds` is how long their pictures had been in work."""

    canceled: int
    gpu_seconds: float


def cancel_job(db: Database, *, tenant: str, job_id: uuid.UUID, actor: Actor) -> CancelReceipt:
    return _cancel(db, [Job.tenant == tenant, Job.id == job_id], actor)


def cancel_batch(db: Database, *, tenant: str, batch_id: uuid.UUID, actor: Actor) -> CancelReceipt:
    return _cancel(db, [Job.tenant == tenant, Job.batch_id == batch_id], actor, batch_id=batch_id, tenant=tenant)


def _cancel(
    db: Database, where: list[ColumnElement[bool]], actor: Actor, *, batch_id: uuid.UUID | None = None, tenant: str = ""
) -> CancelReceipt:
    now = db.now()
    with db.transaction() as session:
        # Locked in id order, so that two cancels of overlapping orders cannot wait for each other.
        rows = change_status(
            session,
            pick(*where).order_by(Job.id),
            JobStatus.CANCELED,
            now=now,
            action=AuditAction.JOB_CANCELED,
            actor=actor,
            returning=(JOBS.c.started_at, JOBS.c.finished_at),
        )
        if batch_id is not None and rows:
            log_event(
                session,
                now=now,
                tenant=tenant,
                actor=actor,
                action=AuditAction.BATCH_CANCELED,
                batch_id=batch_id,
                detail={"jobs": len(rows)},
            )
    started = [row for row in rows if row.was == JobStatus.RUNNING.value]
    return CancelReceipt(len(rows), round(sum((row.finished_at - row.started_at).total_seconds() for row in started), 3))
