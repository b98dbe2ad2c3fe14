"""claim_job: the best next job for this worker, leased. Four ordered lists; the first that has a job wins."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Row, ScalarSelect, func, or_, select
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.claim import Claim
from factory.domain.generation_spec import GenerationSpec
from factory.domain.status import JobStatus, Lane, Phase
from factory.errors import Permanent
from factory.jobs.change_status import JOBS, change_status, pick
from factory.jobs.end_attempt import describe

# A worker that could not hold a job leaves it to the others for this long; if there are none, it tries again.
AVOIDED_FOR = timedelta(seconds=60)
CLAIMED = (JOBS.c.worker, JOBS.c.project, JOBS.c.day, JOBS.c.seq, JOBS.c.spec, JOBS.c.created_at)


def claim_job(db: Database, *, worker: str, lease: timedelta, resident: Sequence[str] = (), ahead: bool = False) -> Claim | None:
    """Take one queued job, or None when nothing can be taken now.

    `resident` names the checkpoints that this worker holds; `ahead` says that it will draw another one first.
    `FOR UPDATE SKIP LOCKED` lets any number of workers ask at once; each claim raises `attempt`, the fencing token of
    every later write.
    """
    now = db.now()
    phase = Phase.CLAIMED if ahead else Phase.GENERATING
    while True:
        with db.transaction() as session:
            row = _take(session, now, worker, lease, resident, phase)
            if row is None:
                return None
            try:
                return _claim(row)
            except ValidationError as fault:
                _fail(session, now, row, fault)


def _take(
    session: Session, now: ColumnElement[Any], worker: str, lease: timedelta, resident: Sequence[str], phase: Phase
) -> Row[Any] | None:
    lists = [_first(*wanted, *_takeable(now, worker)) for wanted in _lists(resident)]
    rows = change_status(
        session,
        pick(JOBS.c.id == func.coalesce(*lists)).with_for_update(of=JOBS, skip_locked=True),
        JobStatus.RUNNING,
        now=now,
        action=AuditAction.JOB_STARTED,
        actor=Actor("worker", worker),
        values={
            "attempt": JOBS.c.attempt + 1,
            "worker": worker,
            "lease_until": now + lease,
            "phase": phase.value,
            "started_at": now,
        },
        returning=CLAIMED,
    )
    return rows[0] if rows else None


def _fail(session: Session, now: ColumnElement[Any], row: Row[Any], fault: ValidationError) -> None:
    """A spec that this version cannot read would be the head of its list for ever."""
    error = describe(Permanent(f"the stored spec cannot be read: {fault.errors()[0]['msg']}; order this picture again"))
    change_status(
        session,
        pick(JOBS.c.id == row.id),
        JobStatus.FAILED,
        now=now,
        action=AuditAction.JOB_FAILED,
        actor=Actor("worker", row.worker),
        values={"error": error},
        detail=error,
    )


def _first(*where: ColumnElement[bool]) -> ScalarSelect[Any]:
    """The head of a list, locked. COALESCE asks for the next list only when this one is empty."""
    return select(JOBS.c.id).where(*where).order_by(JOBS.c.vft, JOBS.c.id).limit(1).with_for_update(skip_locked=True).scalar_subquery()


def _lists(resident: Sequence[str]) -> Iterator[list[ColumnElement[bool]]]:
    """Interactive and resident, any interactive, bulk of a resident checkpoint, any; the checkpoint used last comes first.

    One list for each checkpoint: an index gives the head of each without sorting, however many jobs wait.
    """
    for lane in (Lane.INTERACTIVE, Lane.BULK):
        in_lane = JOBS.c.lane == lane.value
        for checkpoint in resident:
            yield [in_lane, JOBS.c.checkpoint == checkpoint]
        yield [in_lane]


def _takeable(now: ColumnElement[Any], worker: str) -> list[ColumnElement[bool]]:
    return [
        JOBS.c.status == JobStatus.QUEUED.value,
        or_(JOBS.c.not_before.is_(None), JOBS.c.not_before <= now),
        or_(JOBS.c.expires_at.is_(None), JOBS.c.expires_at > now),
        or_(JOBS.c.avoid_worker.is_(None), JOBS.c.avoid_worker != worker, JOBS.c.not_before <= now - AVOIDED_FOR),
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
