"""retry_batch: what came to nothing is ordered anew, in the same batch and the same rows; the old jobs stay, superseded.

A row's external id goes with its newest job: the old one gives it up, so that a look-up by it finds what counts now, and the
unique index needs no exception. What the customer wrote stays in the old job's `requested`.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from sqlalchemy import ColumnElement, Uuid, any_, func, insert, literal, null, select, update
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from factory.db import copy_rows
from factory.domain.audit_event import AuditAction, AuditEvent
from factory.domain.batch import Batch
from factory.domain.caller import Caller
from factory.domain.job import Job
from factory.domain.status import Hold, JobStatus, Priority
from factory.jobs.apply_caps import apply_caps
from factory.jobs.change_status import EVENT_COLUMNS
from factory.jobs.log_event import log_event
from factory.jobs.new_job import SHORT_ORDER, Placement, job_columns, kind_of, numbers, submitted_events
from factory.jobs.prepare_batch import PreparedBatch
from factory.jobs.prepare_retry import RetryWish
from factory.jobs.require_room import no_place, require_room
from factory.jobs.room import DEFAULT_MAX_QUEUED
from factory.jobs.shares import Tag, Tags, count_kinds, places
from factory.jobs.take_turns import take_turns
from factory.jobs.write_rows import for_copy

Laid = tuple[int, dict[str, Any]]


@dataclass(frozen=True)
class Retried:
    """`retried` rows wait again; of `rejected` ones a rule refused the new prompt."""

    retried: int = 0
    rejected: int = 0


def retry_batch(
    session: Session,
    now: ColumnElement[Any],
    caller: Caller,
    *,
    batch_id: uuid.UUID,
    wish: RetryWish,
    prepared: PreparedBatch,
    max_queued: int = DEFAULT_MAX_QUEUED,
) -> Retried:
    """In the caller's transaction. Of two at once the second finds nothing left to retry. Raises QueueFull when no row fits."""
    # Locked against the end, the pause and another retry of the batch until the commit.
    mine = [Batch.tenant == caller.tenant, Batch.id == batch_id]
    batch = session.scalars(select(Batch).where(*mine).with_for_update(key_share=True)).one()
    if not prepared.rows:
        return Retried()
    taken = _supersede(session, batch_id, wish, _fitting(session, now, caller.tenant, prepared, max_queued))
    if not taken:
        return Retried()
    session.execute(update(Batch).where(Batch.id == batch_id).values(ended_at=null()))
    moment = session.execute(select(now)).scalar_one()
    placement = Placement(moment, batch.project, batch_id=batch_id, priority=Priority(batch.priority), deadline=batch.deadline)
    _write(session, now, caller, placement, prepared, taken)
    counts = _settle(session, batch, taken)
    apply_caps(session, now, tenant=caller.tenant, batch_id=batch_id)
    take_turns(session, now, tenant=caller.tenant, batch_id=batch_id)
    _log(session, now, caller, batch_id, wish, counts)
    return counts


def _fitting(session: Session, now: ColumnElement[Any], tenant: str, prepared: PreparedBatch, max_queued: int) -> list[uuid.UUID]:
    """The jobs to be replaced, as many as the tenant's queue has room for; the others can be retried later."""
    room = require_room(session, now, tenant=tenant, wanted=prepared.rows, default=max_queued).left
    found: list[uuid.UUID] = []
    for number, ordered in prepared:
        if len(found) < room:
            found.append(uuid.UUID(ordered["retry_of"]))
        else:
            prepared.refuse(number, [no_place(number, room)])
    return found


def _supersede(session: Session, batch_id: uuid.UUID, wish: RetryWish, jobs: list[uuid.UUID]) -> set[str]:
    """Those that still are as they were when they were read."""
    ids = literal(jobs, ARRAY(Uuid))  # one array: a parameter for each would be more than the protocol's 65 535
    mine = [Job.id == any_(ids), Job.batch_id == batch_id, Job.superseded.is_(False), Job.status.in_(wish.wanted)]
    statement = update(Job).where(*mine).values(superseded=True, external_id=null(), dead_lettered_at=null()).returning(Job.id)
    return {str(job_id) for job_id in session.scalars(statement.execution_options(synchronize_session=False))}


def _write(
    session: Session, now: ColumnElement[Any], caller: Caller, placement: Placement, prepared: PreparedBatch, taken: set[str]
) -> None:
    drawn = (ordered for _, ordered in _taken(prepared, taken) if ordered["status"] == JobStatus.QUEUED.value)
    demand = count_kinds(kind_of(ordered, placement) for ordered in drawn)
    with (
        numbers(session, caller, placement, len(taken)) as first,
        places(session, caller.tenant, demand, long=len(taken) > SHORT_ORDER) as tags,
    ):
        rows = _rows(caller, placement, tags, first, _taken(prepared, taken))
        head = next(rows)
        copy_rows(session, "jobs", list(head), (tuple(row.values()) for row in chain([head], rows)))
    fresh = Job.batch_id == placement.batch_id, Job.retry_of == any_(literal([uuid.UUID(old) for old in taken], ARRAY(Uuid)))
    session.execute(insert(AuditEvent).from_select(EVENT_COLUMNS, submitted_events(now, caller.actor).where(*fresh)))


def _taken(prepared: PreparedBatch, taken: set[str]) -> Iterator[Laid]:
    return ((number, ordered) for number, ordered in prepared if ordered["retry_of"] in taken)


def _rows(caller: Caller, placement: Placement, tags: Tags, first: int, laid: Iterator[Laid]) -> Iterator[dict[str, Any]]:
    for seq, (number, ordered) in enumerate(laid, first):
        kind = kind_of(ordered, placement)
        tag = tags.next(kind) if ordered["status"] == JobStatus.QUEUED.value else Tag(0.0, 0.0, tags.cost(kind))
        yield for_copy(job_columns(ordered, caller, placement, kind, tag, seq=seq, row_no=number))


def _settle(session: Session, batch: Batch, taken: set[str]) -> Retried:
    """A batch that is paused stays so, its new rows too."""
    fresh = [Job.batch_id == batch.id, Job.retry_of == any_(literal([uuid.UUID(old) for old in taken], ARRAY(Uuid)))]
    waiting = [*fresh, Job.status == JobStatus.QUEUED.value]
    if batch.paused_at is not None:
        held = update(Job).where(*waiting, Job.hold.is_(None)).values(hold=Hold.PAUSED.value)
        session.execute(held.execution_options(synchronize_session=False))
    queued = session.scalar(select(func.count()).select_from(Job).where(*waiting)) or 0
    return Retried(queued, len(taken) - queued)


def _log(session: Session, now: ColumnElement[Any], caller: Caller, batch_id: uuid.UUID, wish: RetryWish, counts: Retried) -> None:
    detail = {"retried": counts.retried, "rejected": counts.rejected, "statuses": wish.wanted, "changes": dict(wish.changes)}
    log_event(
        session,
        now=now,
        tenant=caller.tenant,
        actor=caller.actor,
        action=AuditAction.BATCH_RETRIED,
        batch_id=batch_id,
        detail=detail,
    )
