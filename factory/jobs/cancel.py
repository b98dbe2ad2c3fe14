"""cancel: a customer no longer wants a job or a batch. Idempotent; a running picture stops at its next step.

In the caller's transaction, so that what it tells the customer is committed together with what it did.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from factory.domain.audit_event import Actor, AuditAction
from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.jobs.change_status import JOBS, change_status, pick
from factory.jobs.log_event import log_event
from factory.jobs.unread_orders import forget_unread


@dataclass(frozen=True)
class CancelReceipt:
    """`canceled` jobs ended by this call; `gpu_seconds` is how long their pictures had been in work."""

    canceled: int
    gpu_seconds: float


def cancel_job(session: Session, now: ColumnElement[Any], *, tenant: str, job_id: uuid.UUID, actor: Actor) -> CancelReceipt:
    return _cancel(session, now, [Job.tenant == tenant, Job.id == job_id], actor)


def cancel_batch(session: Session, now: ColumnElement[Any], *, tenant: str, batch_id: uuid.UUID, actor: Actor) -> CancelReceipt:
    """An order that is being read or extended meanwhile is canceled before that, or with all of its rows."""
    mine = Batch.tenant == tenant, Batch.id == batch_id
    session.execute(select(Batch.id).where(*mine).with_for_update(key_share=True))  # before the next statements look
    unread = forget_unread(session, tenant=tenant, batch_id=batch_id)
    receipt = _cancel(session, now, [Job.tenant == tenant, Job.batch_id == batch_id], actor)
    if unread or receipt.canceled:
        log_event(
            session,
            now=now,
            tenant=tenant,
            actor=actor,
            action=AuditAction.BATCH_CANCELED,
            batch_id=batch_id,
            detail={"jobs": receipt.canceled},
        )
    return receipt


def _cancel(session: Session, now: ColumnElement[Any], where: list[ColumnElement[bool]], actor: Actor) -> CancelReceipt:
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
    started = [row for row in rows if row.was == JobStatus.RUNNING.value]
    return CancelReceipt(len(rows), round(sum((row.finished_at - row.started_at).total_seconds() for row in started), 3))
