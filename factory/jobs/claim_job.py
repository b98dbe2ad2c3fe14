"""claim_job: the best next job for this worker, leased. Which one that is, claim_lists says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Any

from pydantic import ValidationError
from sqlalchemy import (
    Double,
    Interval,
    Row,
    Text,
    TextClause,
    Uuid,
    bindparam,
    column,
    func,
    literal_column,
    update,
)

from factory.db import Compiled, Database, compiled_now
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.claim import Claim
from factory.domain.generation_spec import GenerationSpec
from factory.domain.job import Job
from factory.domain.status import JobStatus, Phase
from factory.errors import Permanent
from factory.jobs.change_status import JOBS, change_status, pick, status_statement
from factory.jobs.claim_lists import AVOIDED_SECONDS, INTERACTIVE_RUN, LORA_RUN, MIN_RUN, Run, claim_statement
from factory.jobs.end_attempt import describe

AVOIDED_FOR = timedelta(seconds=AVOIDED_SECONDS)
CLAIMED = (JOBS.c.worker, JOBS.c.project, JOBS.c.day, JOBS.c.seq, JOBS.c.spec, JOBS.c.lane, JOBS.c.created_at)
FOUND = (column("head", Uuid), column("head_vft", Double), column("turn", Uuid), column("turn_vft", Double))


def claim_job(
    db: Database, *, worker: str, lease: timedelta, resident: Sequence[str] = (), ahead: bool = False, run: Run | None = None
) -> Claim | None:
    """Take one waiting job, or None when nothing can be taken now.

    `resident` names the checkpoints that this worker holds, the one in use first; `ahead` says that it will draw another one first;
    `run` what it has been drawing: who says nothing of that is not asked to leave bulk to others. `FOR UPDATE SKIP LOCKED` lets any
    number of workers ask at once; each claim raises `attempt`, the fencing token of every later write.
    """
    held, spares, run = tuple(dict.fromkeys(resident)), run is not None, run or Run()
    statement = _statement(db, len(held), run, ahead=ahead, spares=spares)
    binds = {"worker": worker, "actor_name": worker, "lease": lease, "phase": (Phase.CLAIMED if ahead else Phase.GENERATING).value}
    binds |= {
        "patience": run.patience,
        "lora_key": run.lora_key,
        "lacks": list(run.lacks),
        **{f"r{number}": name for number, name in enumerate(held)},
    }
    while rows := db.run_alone(statement, binds):
        try:
            return _claim(rows[0])
        except ValidationError as fault:
            _fail(db, rows[0], fault)
    return None


def _statement(db: Database, resident: int, run: Run, *, ahead: bool, spares: bool) -> Compiled:
    question = claim_statement(
        resident,
        same_lora=run.lora_run < LORA_RUN,
        may_swap=run.since_swap >= MIN_RUN,
        bulk_first=run.interactive_run >= INTERACTIVE_RUN,
        offpeak=run.offpeak_open,
        now="now()" if db.clock is None else "CAST(:now AS timestamptz)",
        lacking=bool(run.lacks),
        loading=ahead and (run.loading or run.since_swap == 1),
        spares=spares,
    )
    return _taking(question, own_clock=db.clock is not None)


@lru_cache(maxsize=256)
def _taking(question: TextClause, *, own_clock: bool) -> Compiled:
    """The head of the lists earns its tenant a picture; which of the tenant's users gets it, their turns decide. The head takes the
    place of the job that went before it: both are locked, and of one lane and checkpoint.

    One statement, so one way there and back; built once for each form of the question. What is locked may be newer than its snapshot:
    places are those of the locked rows, as the question gives them, and never read again.
    """
    now = compiled_now(own_clock=own_clock)
    found = question.columns(*FOUND).cte("found")
    behind = update(Job).where(JOBS.c.id == found.c.head, found.c.turn != found.c.head).values(vft=found.c.turn_vft).cte("behind")
    taken = status_statement(
        pick(JOBS.c.id == func.coalesce(found.c.turn, found.c.head)).add_columns(found.c.head_vft),
        JobStatus.RUNNING,
        now=now,
        action=AuditAction.JOB_STARTED,
        actor=Actor("worker", ""),
        values={
            "vft": literal_column("chosen.head_vft"),
            "attempt": JOBS.c.attempt + 1,
            "worker": bindparam("worker", type_=Text),
            "lease_until": now + bindparam("lease", type_=Interval),
            "phase": bindparam("phase", type_=Text),
            "started_at": now,
        },
        returning=CLAIMED,
    )
    return Compiled.of(taken.add_cte(behind))


def _fail(db: Database, row: Row[Any], fault: ValidationError) -> None:
    """A spec that this version cannot read would be the head of its list for ever. If this worker ends before, the lease does."""
    error = describe(Permanent(f"the stored spec cannot be read: {fault.errors()[0]['msg']}; order this picture again"))
    with db.transaction() as session:
        change_status(
            session,
            pick(JOBS.c.id == row.id, JOBS.c.attempt == row.attempt),
            JobStatus.FAILED,
            now=db.now(),
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
