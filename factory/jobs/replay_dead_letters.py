"""replay_dead_letters: what ended as a dead letter gets another chance, after somebody mended the cause."""

from __future__ import annotations

import uuid

from sqlalchemy import null, select

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.jobs.apply_caps import apply_caps
from factory.jobs.change_status import change_status, pick
from factory.jobs.end_batches import reopen


def replay_dead_letters(db: Database, *, actor: Actor, tenant: str | None = None, job_id: uuid.UUID | None = None) -> int:
    """Failed dead letters wait again with fresh counters; `attempt` goes on rising. Their batches are open again. Returns how many."""
    where = [Job.dead_lettered_at.is_not(None), Job.status == JobStatus.FAILED.value]
    if tenant is not None:
        where.append(Job.tenant == tenant)
    if job_id is not None:
        where.append(Job.id == job_id)
    cleared = ("dead_lettered_at", "error", "not_before", "avoid_worker", "finished_at")
    now = db.now()
    with db.transaction() as session:
        batches = session.scalars(select(Job.batch_id).where(*where).distinct())
        reopen(session, [batch_id for batch_id in batches if batch_id])
        rows = change_status(
            session,
            pick(*where).order_by(Job.id),
            JobStatus.QUEUED,
            now=now,
            action=AuditAction.JOB_REPLAYED,
            actor=actor,
            values={"lost_leases": 0, "failures": 0, "ready_at": now, **{name: null() for name in cleared}},
        )
        for owner in sorted({row.tenant for row in rows}):
            apply_caps(session, now, tenant=owner)
    return len(rows)
