"""apply_catalogue: what a catalogue lacks becomes one order. Applied again, it orders nothing: the catalogue converges."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from factory.db import Database, among
from factory.domain.audit_event import AuditAction
from factory.domain.caller import Caller
from factory.domain.catalogue import Catalogue
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.jobs.admit import Admission
from factory.jobs.batch_order import BatchOrder
from factory.jobs.change_status import change_status, pick
from factory.jobs.new_job import order_columns
from factory.jobs.one_at_a_time import one_at_a_time
from factory.jobs.plan_catalogue import (
    AT_ONCE,
    TO_RENDER,
    CellState,
    Newest,
    Plan,
    PlannedCell,
    ReadOrder,
    newest_jobs,
    plan_catalogue,
    state_of,
)
from factory.jobs.prepare_batch import KEPT_ERRORS, PreparedBatch
from factory.jobs.room import DEFAULT_MAX_QUEUED
from factory.jobs.submit_batch import submit_batch

Laid = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Prepared:
    """A plan, and what it would order, laid aside in a file; `batch.errors` say what is blocked, and why."""

    plan: Plan
    batch: PreparedBatch


@dataclass(frozen=True)
class Applied:
    """`batch_id` is None when nothing was left to order. `canceled` older orders of stale cells had not been begun."""

    batch_id: uuid.UUID | None = None
    ordered: int = 0
    canceled: int = 0


@dataclass
class _Lacking:
    """What is still to be ordered under the lock, and the waiting jobs that it replaces."""

    batch: PreparedBatch = field(default_factory=PreparedBatch)
    replaced: list[uuid.UUID] = field(default_factory=list)


def prepare_catalogue(
    db: Database, *, tenant: str, catalogue: Catalogue, rows: Iterable[tuple[int, Any]], admission: Admission, read: ReadOrder
) -> Prepared:
    """Plan, and keep what is missing or stale. Nothing is locked or written. Raises Invalid as plan_catalogue does."""
    batch = PreparedBatch()

    def keep(cell: PlannedCell) -> None:
        if cell.state in TO_RENDER and cell.judged.admitted is not None:
            batch.add(cell.judged.row, order_columns(cell.judged.admitted) | {"cell": cell.judged.key})
        elif cell.state is CellState.BLOCKED:
            _refuse(batch, cell)

    plan = plan_catalogue(db, tenant=tenant, catalogue=catalogue, rows=rows, admission=admission, read=read, on_cell=keep)
    return Prepared(plan, batch)


def _refuse(batch: PreparedBatch, cell: PlannedCell) -> None:
    """A row that is wrong as a whole is told once, and counts for all its cells."""
    batch.refused += cell.judged.cells
    reasons = cell.why[: KEPT_ERRORS - len(batch.errors)]
    batch.errors += [{"row": cell.judged.row, "cell": cell.judged.key, **reason} for reason in reasons]


def apply_catalogue(
    session: Session,
    now: ColumnElement[Any],
    caller: Caller,
    catalogue: Catalogue,
    prepared: Prepared,
    *,
    reuse: bool = True,
    request_sha256: str,
    max_queued: int = DEFAULT_MAX_QUEUED,
) -> Applied:
    """Order what is lacking still, in the caller's transaction. Of two at once the second waits, and finds it in work.

    Raises Conflict when the first one takes too long, and what submit_batch raises.
    """
    if not prepared.batch.rows:
        return Applied()
    busy = f"catalogue {catalogue.name!r} is being applied at this moment; ask again in a few seconds"
    one_at_a_time(session, f"catalogue\x1f{caller.tenant}\x1f{catalogue.name}", busy=busy)
    lacking = _lacking(session, caller.tenant, catalogue.name, prepared.batch)
    if not lacking.batch.rows:
        return Applied()
    order = as_order(catalogue, reuse=reuse)
    canceled = _cancel(session, now, caller, lacking.replaced)  # first: their places are the new ones'
    batch_id = submit_batch(session, now, caller, order, lacking.batch, request_sha256=request_sha256, max_queued=max_queued)
    return Applied(batch_id, lacking.batch.rows, canceled)


def as_order(catalogue: Catalogue, *, reuse: bool = True) -> BatchOrder:
    """What a catalogue says about its orders."""
    return BatchOrder(
        project=catalogue.project,
        catalogue=catalogue.name,
        template=catalogue.template,
        user=catalogue.user,
        campaign=catalogue.campaign,
        cost_centre=catalogue.cost_centre,
        tags=tuple(catalogue.tags),
        metadata=tuple(catalogue.metadata.items()),
        priority=catalogue.priority,
        not_before=catalogue.not_before,
        deadline=catalogue.deadline,
        expires_at=catalogue.expires_at,
        expires_in=catalogue.expires_in,
        retention=catalogue.retention,
        reuse=reuse,
    )


def _lacking(session: Session, tenant: str, name: str, planned: PreparedBatch) -> _Lacking:
    """Between plan and lock somebody else may have ordered, and workers may have finished."""
    found = _Lacking()
    for chunk in _chunks(iter(planned)):
        newest = newest_jobs(session, tenant=tenant, catalogue=name, keys=[columns["cell"] for _, columns in chunk])
        for number, columns in chunk:
            job = newest.get(columns["cell"])
            if state_of(job, columns["spec_sha256"], columns["spec"]["policy_version"]) in TO_RENDER:
                found.batch.add(number, columns)
                found.replaced += _replaced(job)
    return found


def _replaced(job: Newest | None) -> list[uuid.UUID]:
    return [job.id] if job and job.status == JobStatus.QUEUED.value else []


def _cancel(session: Session, now: ColumnElement[Any], caller: Caller, jobs: list[uuid.UUID]) -> int:
    """What waits and would be stale the moment it is drawn. What a worker has begun, or somebody else holds, is left to them."""
    canceled = 0
    for at in range(0, len(jobs), AT_ONCE):
        waiting = pick(among(Job.id, jobs[at : at + AT_ONCE]), Job.status == JobStatus.QUEUED.value).order_by(Job.id)
        rows = change_status(
            session,
            waiting.with_for_update(of=Job, skip_locked=True),
            JobStatus.CANCELED,
            now=now,
            action=AuditAction.JOB_CANCELED,
            actor=caller.actor,
            detail={"reason": "stale"},
        )
        canceled += len(rows)
    return canceled


def _chunks(laid: Iterator[Laid]) -> Iterator[list[Laid]]:
    while chunk := list(islice(laid, AT_ONCE)):
        yield chunk
