"""claim_job: the best next job for this worker, leased. Which one that is, claim_lists says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Row, TextClause, text
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.claim import Claim
from factory.domain.generation_spec import GenerationSpec
from factory.domain.status import JobStatus, Phase
from factory.errors import Permanent
from factory.jobs.change_status import JOBS, change_status, pick
from factory.jobs.claim_lists import AVOIDED_SECONDS, INTERACTIVE_RUN, LORA_RUN, MIN_RUN, Run, claim_statement
from factory.jobs.end_attempt import describe

AVOIDED_FOR = timedelta(seconds=AVOIDED_SECONDS)
CLAIMED = (JOBS.c.worker, JOBS.c.project, JOBS.c.day, JOBS.c.seq, JOBS.c.spec, JOBS.c.lane, JOBS.c.created_at)
STANDS_BACK = text("UPDATE jobs SET vft = :vft WHERE id = :id")


def claim_job(
    db: Database, *, worker: str, lease: timedelta, resident: Sequence[str] = (), ahead: bool = False, run: Run | None = None
) -> Claim | None:
    """Take one waiting job, or None when nothing can be taken now.

    `resident` names the checkpoints that this worker holds, the one in use first; `ahead` says that it will draw another one first;
    `run` what it has been drawing: who says nothing of that is not asked to leave bulk to others. `FOR UPDATE SKIP LOCKED` lets any
    number of workers ask at once; each claim raises `attempt`, the fencing token of every later write.
    """
    now = db.now()
    statement, binds = _question(db, worker, tuple(dict.fromkeys(resident)), run or Run(), ahead=ahead, spares=run is not None)
    phase = Phase.CLAIMED if ahead else Phase.GENERATING
    while True:
        with db.transaction() as session:
            row = _take(session, now, statement, binds, worker=worker, lease=lease, phase=phase)
            if row is None:
                return None
            try:
                return _claim(row)
            except ValidationError as fault:
                _fail(session, now, row, fault)


def _question(
    db: Database, worker: str, resident: tuple[str, ...], run: Run, *, ahead: bool, spares: bool
) -> tuple[TextClause, dict[str, Any]]:
    statement = claim_statement(
        len(resident),
        same_lora=run.lora_run < LORA_RUN,
        may_swap=run.since_swap >= MIN_RUN,
        bulk_first=run.interactive_run >= INTERACTIVE_RUN,
        offpeak=run.offpeak_open,
        now="now()" if db.clock is None else "CAST(:now AS timestamptz)",
        lacking=bool(run.lacks),
        loading=ahead and run.since_swap == 1,
        spares=spares,
    )
    held = {f"r{number}": name for number, name in enumerate(resident)}
    clock = {"now": db.clock()} if db.clock else {}
    return statement, {"worker": worker, "lora_key": run.lora_key, "lacks": list(run.lacks), **clock, **held}


def _take(
    session: Session,
    now: ColumnElement[Any],
    statement: TextClause,
    binds: dict[str, Any],
    *,
    worker: str,
    lease: timedelta,
    phase: Phase,
) -> Row[Any] | None:
    """The head of the lists earns its tenant a picture; which of the tenant's users gets it, their turns decide. The head takes the
    place of the job that went before it: both are locked, and of one lane and checkpoint."""
    found = session.execute(statement, binds).one_or_none()
    if found is None:
        return None
    swaps = found.turn is not None and found.turn != found.head
    if swaps:
        session.execute(STANDS_BACK, {"id": found.head, "vft": found.turn_vft})
    rows = change_status(
        session,
        pick(JOBS.c.id == (found.turn if swaps else found.head)),
        JobStatus.RUNNING,
        now=now,
        action=AuditAction.JOB_STARTED,
        actor=Actor("worker", worker),
        values={
            "vft": found.head_vft,
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
        lane=row.lane,
    )
