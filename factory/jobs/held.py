"""The fence: the condition that a write about a claimed job must meet."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement

from factory.domain.claim import Claim
from factory.domain.job import Job
from factory.domain.status import JobStatus


def held(claim: Claim) -> list[ColumnElement[bool]]:
    """True only for the attempt that holds the job now. Whether the lease is late is the database's to act on:
    until upkeep has taken the job back, its holder may still finish it."""
    return fence(claim.job_id, claim.attempt, claim.worker)


def fence(job_id: Any, attempt: Any, worker: Any) -> list[ColumnElement[bool]]:
    """`held` for binds or columns that tell of the claim."""
    return [Job.id == job_id, Job.status == JobStatus.RUNNING.value, Job.attempt == attempt, Job.worker == worker]
