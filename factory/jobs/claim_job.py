"""claim_job: the best next job for this worker, leased. Four ordered lists; the first that has a job wins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Row, or_

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.claim import Claim
from factory.domain.generation_spec import GenerationSpec
from factory.domain.job import Job
from factory.domain.status import JobStatus, Lane, Phase
from factory.jobs.change_status import change_status, pick

# A worker that could not hold a job leaves it to the others for this long; if there are none, it tries again.
AVOIDED_FOR = timedelta(seconds=60)


def claim_job(db: Database, *, worker: str, lease: timedelta, resident: Sequence[str] = ()) -> Claim | None:
    """Take one queued job, or None when nothing can be taken now.

    `resident` names the checkpoints that this worker holds. `FOR UPDATE SKIP LOCKED` lets any number of workers ask
    at once; each claim raises `attempt`, the fencing token of every later write.
    """
    now = db.now()
    with db.transaction() as session:
        for wanted in _lists(resident):
            picked = pick(*wanted, *_takeable(now, worker)).order_by(Job.vft, Job.id).limit(1).with_for_update(of=Job, skip_locked=True)
            rows = change_status(
                session,
                picked,
                JobStatus.RUNNING,
                now=now,
                action=AuditAction.JOB_STARTED,
                actor=Actor("worker", worker),
                values={
                    "attempt": Job.attempt + 1,
                    "worker": worker,
                    "lease_until": now + lease,
                    "phase": Phase.GENERATING.value,
                    "started_at": now,
                },
            )
            if rows:
                return _claim(rows[0])
    return None


def _lists(resident: Sequence[str]) -> Iterator[list[ColumnElement[bool]]]:
    """Interactive and resident, any interactive, bulk of the resident checkpoint, any."""
    for lane in (Lane.INTERACTIVE, Lane.BULK):
        in_lane = Job.lane == lane.value
        if resident:
            yield [in_lane, Job.checkpoint.in_(resident)]
        yield [in_lane]


def _takeable(now: ColumnElement[Any], worker: str) -> list[ColumnElement[bool]]:
    return [
        Job.status == JobStatus.QUEUED.value,
        or_(Job.not_before.is_(None), Job.not_before <= now),
        or_(Job.expires_at.is_(None), Job.expires_at > now),
        or_(Job.avoid_worker.is_(None), Job.avoid_worker != worker, Job.not_before <= now - AVOIDED_FOR),
    ]


def _claim(row: Row[Any]) -> Claim:
    return Claim(
        job_id=row.id,
        attempt=row.attempt,
        worker=row.worker,
        tenant=row.tenant,
        batch_id=row.batch_id,
        sku=row.sku,
        project=row.project,
        day=row.day,
        seq=row.seq,
        spec=GenerationSpec.model_validate(row.spec),
        created_at=row.created_at,
    )
