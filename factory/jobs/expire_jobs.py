"""expire_jobs: orders that nobody drew in time end, truthfully."""

from __future__ import annotations

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.jobs.change_status import change_status, pick

AT_ONCE = 2000


def expire_jobs(db: Database) -> int:
    """Queued jobs past their `expires_at` become expired; a running one may finish. In short transactions: a whole order may expire."""
    now, expired = db.now(), 0
    late = pick(Job.status == JobStatus.QUEUED.value, Job.expires_at <= now).order_by(Job.expires_at).limit(AT_ONCE)
    while True:
        with db.transaction() as session:
            rows = change_status(
                session,
                late.with_for_update(of=Job, skip_locked=True),
                JobStatus.EXPIRED,
                now=now,
                action=AuditAction.JOB_EXPIRED,
                actor=Actor("upkeep", "expire_jobs"),
            )
        expired += len(rows)
        if len(rows) < AT_ONCE:
            return expired
