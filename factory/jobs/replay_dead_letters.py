"""replay_dead_letters: what ended as a dead letter gets another chance, after somebody mended the cause."""

from __future__ import annotations

import uuid

from sqlalchemy import null

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.jobs.change_status import change_status, pick


def replay_dead_letters(db: Database, *, actor: Actor, tenant: str | None = None, job_id: uuid.UUID | None = None) -> int:
    """Failed dead letters wait again with fresh counters; `attempt` goes on rising. Returns how many."""
    where = [Job.dead_lettered_at.is_not(None), Job.status == JobStatus.FAILED.value]
    if tenant is not None:
        where.append(Job.tenant == tenant)
    if job_id is not None:
        where.append(Job.id == job_id)
    cleared = ("dead_lettered_at", "error", "not_before", "avoid_worker", "finished_at")
    with db.transaction() as session:
        rows = change_status(
            session,
            pick(*where).order_by(Job.id),
            JobStatus.QUEUED,
            now=db.now(),
            action=AuditAction.JOB_REPLAYED,
            actor=actor,
            values={"lost_leases": 0, "failures": 0, **{name: null() for name in cleared}},
        )
    return len(rows)
