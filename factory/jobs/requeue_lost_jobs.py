"""requeue_lost_jobs: jobs whose worker vanished wait again; one whose drawing lost worker after worker is poison."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import case

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.job import Job
from factory.domain.status import DRAWING, JobStatus
from factory.jobs.change_status import change_status, pick

UPKEEP = Actor("upkeep", "requeue_lost_jobs")


@dataclass(frozen=True)
class Requeued:
    """How many wait again, how many became dead letters."""

    requeued: int
    dead_lettered: int


def requeue_lost_jobs(db: Database, *, max_lost_leases: int) -> Requeued:
    """Act on every lease that ran out. Safe to run anywhere, at any time, any number of times.

    Only the job that was being drawn is blamed for its worker, not those claimed ahead or being finished beside it.
    """
    now = db.now()
    lost = [Job.status == JobStatus.RUNNING.value, Job.lease_until < now]
    drawn = Job.phase.in_(DRAWING)
    with db.transaction() as session:
        poison = change_status(
            session,
            pick(*lost, drawn, Job.lost_leases + 1 >= max_lost_leases).with_for_update(of=Job, skip_locked=True),
            JobStatus.FAILED,
            now=now,
            action=AuditAction.JOB_DEAD_LETTERED,
            actor=UPKEEP,
            values={
                "lost_leases": Job.lost_leases + 1,
                "dead_lettered_at": now,
                "error": {
                    "code": "worker_lost",
                    "detail": "The worker vanished each time it drew this picture; replay it with `factory jobs replay`.",
                },
            },
        )
        again = change_status(
            session,
            pick(*lost).with_for_update(of=Job, skip_locked=True),
            JobStatus.QUEUED,
            now=now,
            action=AuditAction.JOB_REQUEUED,
            actor=UPKEEP,
            # The time from which an avoided worker may try again; without it that worker could never.
            values={"lost_leases": Job.lost_leases + case((drawn, 1), else_=0), "not_before": now},
        )
    return Requeued(requeued=len(again), dead_lettered=len(poison))
