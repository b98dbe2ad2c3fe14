"""end_attempt: an attempt failed; the branch of its error decides what becomes of the job."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import case, null, select

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.claim import Claim
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.errors import Capacity, FactoryError, LeaseLost, Permanent, Refused
from factory.jobs.change_status import change_status, pick
from factory.jobs.held import held

LONGEST_BACKOFF = timedelta(minutes=5)


@dataclass(frozen=True)
class RetryRules:
    """After `max_failures` passing faults a job is a dead letter. Backoff doubles from `base` with full jitter."""

    max_failures: int = 5
    base: timedelta = timedelta(seconds=2)

    def backoff(self, failures: int) -> timedelta:
        ceiling = min(LONGEST_BACKOFF.total_seconds(), self.base.total_seconds() * 2.0**failures)
        return timedelta(seconds=ceiling * random.random())


def end_attempt(db: Database, claim: Claim, fault: Exception, rules: RetryRules) -> JobStatus:
    """Refused → rejected; Permanent → failed; all else → queued again, or failed as a dead letter when it failed too often.

    Raises LeaseLost when this attempt no longer holds the job: nothing is written then.
    """
    now = db.now()
    error = describe(fault)
    with db.transaction() as session:
        failures = session.scalar(select(Job.failures).where(*held(claim)).with_for_update()) or 0
        to, action, values = _verdict(fault, failures, rules, now)
        rows = change_status(
            session,
            pick(*held(claim)),
            to,
            now=now,
            action=action,
            actor=Actor("worker", claim.worker),
            values={"error": error, **values},
            detail=error,
        )
    if not rows:
        raise LeaseLost(job_id=str(claim.job_id), attempt=claim.attempt)
    return to


def release_job(db: Database, claim: Claim) -> bool:
    """Put a claimed job back untouched, as a worker does that shuts down. False when it no longer held it."""
    with db.transaction() as session:
        rows = change_status(
            session,
            pick(*held(claim)),
            JobStatus.QUEUED,
            now=db.now(),
            action=AuditAction.JOB_RELEASED,
            actor=Actor("worker", claim.worker),
        )
    return bool(rows)


def describe(fault: Exception) -> dict[str, Any]:
    """What a customer may see of a fault; a fault that is not ours shows its type and first line only."""
    if isinstance(fault, FactoryError):
        return {"code": fault.code, "detail": str(fault), **{name: str(value) for name, value in fault.detail.items()}}
    return {"code": "internal_error", "detail": f"{type(fault).__name__}: {str(fault).splitlines()[0][:200] if str(fault) else ''}"}


def _verdict(fault: Exception, failures: int, rules: RetryRules, now: Any) -> tuple[JobStatus, AuditAction, dict[str, Any]]:
    if isinstance(fault, Refused):
        return JobStatus.REJECTED, AuditAction.PROMPT_REJECTED, {}
    if isinstance(fault, Permanent):
        return JobStatus.FAILED, AuditAction.JOB_FAILED, {"failures": Job.failures + 1}
    if failures + 1 >= rules.max_failures:
        return JobStatus.FAILED, AuditAction.JOB_DEAD_LETTERED, {"failures": Job.failures + 1, "dead_lettered_at": now}
    avoid = case((Job.avoid_worker.is_(None), Job.worker), else_=null()) if isinstance(fault, Capacity) else null()
    later = {"failures": Job.failures + 1, "not_before": now + rules.backoff(failures), "avoid_worker": avoid}
    return JobStatus.QUEUED, AuditAction.JOB_RETRIED, later
