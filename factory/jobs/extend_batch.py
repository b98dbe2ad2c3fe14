"""extend_batch: more rows for an order that goes on, by COPY, all or none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from factory.domain.audit_event import AuditAction
from factory.domain.batch import Batch
from factory.domain.caller import Caller
from factory.domain.expiry import expiry
from factory.domain.status import Hold, Priority
from factory.jobs.apply_caps import apply_caps
from factory.jobs.batch_order import BatchOrder
from factory.jobs.check_times import check_times
from factory.jobs.log_event import log_event
from factory.jobs.match_twins import match_twins
from factory.jobs.new_job import Placement, numbers
from factory.jobs.one_at_a_time import one_at_a_time
from factory.jobs.open_order import OpenOrder, lock_unmoved, require_unmoved
from factory.jobs.prepare_batch import KEPT_ERRORS, PreparedBatch
from factory.jobs.room import DEFAULT_MAX_QUEUED
from factory.jobs.settle_twins import settle_twins
from factory.jobs.shares import places
from factory.jobs.take_turns import take_turns
from factory.jobs.write_rows import FittingRows, fit_rows, write_rows


@dataclass(frozen=True)
class Extended:
    """How many rows were added, and how many of those sent were refused."""

    accepted: int
    refused: int


def extend_batch(
    session: Session,
    now: ColumnElement[Any],
    caller: Caller,
    order: OpenOrder,
    said: BatchOrder,
    prepared: PreparedBatch,
    *,
    warnings: Sequence[dict[str, Any]] = (),
    max_queued: int = DEFAULT_MAX_QUEUED,
) -> Extended:
    """In the caller's transaction. `said` is the order as it holds for the new rows, `prepared` counts on from `order.last_row`.

    The batch's row is locked last if there are many rows, so that it can be steered while they are written; what was done with it
    meanwhile decides. Raises Conflict when it has ended by then, OrderMoved when it was extended, paused, resumed or reprioritised:
    nothing was written then. Raises QueueFull and Invalid as submit_batch does.
    """
    batch_id = order.batch.id
    one_at_a_time(session, f"extend\x1f{batch_id}", busy="more rows are being added to this order; send these again in a few seconds")
    require_unmoved(session, order)
    rows = fit_rows(session, now, caller, said, prepared, max_queued=max_queued)
    placement = _placement(order, said, session.execute(select(now)).scalar_one())
    if not rows.is_long:  # a retry has the batch before numbers and shares, which a short order keeps: so it comes first here, too
        lock_unmoved(session, order)
    hold = Hold.PAUSED if order.batch.paused_at else None
    with (
        numbers(session, caller, placement, rows.accepted) as first,
        places(session, caller.tenant, rows.demand(placement), long=rows.is_long) as tags,
    ):
        write_rows(session, now, caller, rows, placement, tags, seq=first, after=order.last_row, hold=hold)
        if rows.may_have_twins:
            match_twins(session, now, tenant=caller.tenant, batch_id=batch_id, after=order.last_row)
            settle_twins(session, now, batch_id=batch_id)
        _add(lock_unmoved(session, order), rows, warnings)
    session.flush()
    apply_caps(session, now, tenant=caller.tenant, batch_id=batch_id)
    take_turns(session, now, tenant=caller.tenant, batch_id=batch_id)
    done = Extended(rows.accepted, prepared.refused)
    detail = {"accepted": done.accepted, "refused": done.refused, "first_row": order.last_row + 1}
    log_event(
        session, now=now, tenant=caller.tenant, actor=caller.actor, action=AuditAction.BATCH_EXTENDED, batch_id=batch_id, detail=detail
    )
    return done


def _placement(order: OpenOrder, said: BatchOrder, moment: datetime) -> Placement:
    check_times(said, moment)
    return Placement(
        moment,
        order.batch.project,
        batch_id=order.batch.id,
        priority=Priority(order.batch.priority),
        not_before=said.not_before,
        deadline=order.batch.deadline,
        expires_at=expiry(moment, said.expires_at, said.expires_in),
    )


def _add(batch: Batch, rows: FittingRows, warnings: Sequence[dict[str, Any]]) -> None:
    """`next_row` is of the rows that were sent last: who sends the others again extends the order by them."""
    prepared = rows.prepared
    batch.rows_accepted += rows.accepted
    batch.rows_refused += prepared.refused
    batch.row_errors = [*batch.row_errors, *prepared.errors][:KEPT_ERRORS]
    batch.warnings = [*batch.warnings, *(one for one in warnings if one not in batch.warnings)][:KEPT_ERRORS]
    batch.next_row = prepared.next_row
