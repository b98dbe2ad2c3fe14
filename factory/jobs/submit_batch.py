"""submit_batch: a prepared order becomes rows, by COPY, all or none of them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from factory.domain.audit_event import AuditAction
from factory.domain.caller import Caller
from factory.domain.expiry import expiry
from factory.domain.row import new_id
from factory.domain.status import Priority
from factory.jobs.apply_caps import apply_caps
from factory.jobs.batch_order import BatchOrder
from factory.jobs.check_times import check_times
from factory.jobs.log_event import log_event
from factory.jobs.match_twins import match_twins
from factory.jobs.new_job import Placement, numbers
from factory.jobs.prepare_batch import PreparedBatch
from factory.jobs.room import DEFAULT_MAX_QUEUED
from factory.jobs.settle_twins import settle_twins
from factory.jobs.shares import places
from factory.jobs.take_turns import take_turns
from factory.jobs.unread_orders import ReceivedBatch, free_name
from factory.jobs.write_rows import fit_rows, write_rows


def submit_batch(
    session: Session,
    now: ColumnElement[Any],
    caller: Caller,
    order: BatchOrder,
    prepared: PreparedBatch,
    *,
    request_sha256: str,
    max_queued: int = DEFAULT_MAX_QUEUED,
    received: ReceivedBatch | None = None,
) -> uuid.UUID:
    """Write the batch, its jobs and their events in the caller's transaction; returns the batch id. A batch that was `received` before
    its rows were read gets them now; its row is locked last, so that it can be steered while they are written.

    Rows whose external id is taken by an earlier order are refused, like any other row that cannot be accepted; so are the last ones
    if the queue has no room for all (`prepared.next_row`). Raises QueueFull when it has room for none, Invalid if its end has passed or
    comes before its beginning.
    """
    rows = fit_rows(session, now, caller, order, prepared, max_queued=max_queued)
    batch_id = received.id if received else new_id()
    placement = _placement(batch_id, session.execute(select(now)).scalar_one(), order, received)
    free_name(session, tenant=caller.tenant, external_id=order.external_id)
    row = order.as_row(caller, batch_id, placement.ordered_at or placement.moment, request_sha256=request_sha256)
    row.rows_accepted, row.rows_refused, row.row_errors, row.next_row = rows.accepted, prepared.refused, prepared.errors, prepared.next_row
    if received is None:
        session.add(row)
        session.flush()
    with (
        numbers(session, caller, placement, rows.accepted) as first,
        places(session, caller.tenant, rows.demand(placement), long=rows.is_long) as tags,
    ):
        write_rows(session, now, caller, rows, placement, tags, seq=first)
    if received is not None:
        received.take(session)
        session.merge(row)
        session.flush()
    _finish(session, now, caller, batch_id, {"accepted": rows.accepted, "refused": prepared.refused}, twins=rows.may_have_twins)
    return batch_id


def _placement(batch_id: uuid.UUID, moment: datetime, order: BatchOrder, received: ReceivedBatch | None) -> Placement:
    ordered_at = received.ordered_at if received else None
    check_times(order, ordered_at or moment)
    return Placement(
        moment,
        order.project,
        batch_id=batch_id,
        priority=order.priority or Priority.BULK,
        not_before=order.not_before,
        deadline=order.deadline,
        expires_at=expiry(ordered_at or moment, order.expires_at, order.expires_in),
        catalogue=order.catalogue is not None,
        ordered_at=ordered_at,
    )


def _finish(session: Session, now: ColumnElement[Any], caller: Caller, batch_id: uuid.UUID, counts: dict[str, int], *, twins: bool) -> None:
    """What needs the rows to be there: twins, caps, turns, and the event of the whole."""
    tenant = caller.tenant
    if twins:
        match_twins(session, now, tenant=tenant, batch_id=batch_id)
        settle_twins(session, now, batch_id=batch_id)
    apply_caps(session, now, tenant=tenant, batch_id=batch_id)
    take_turns(session, now, tenant=tenant, batch_id=batch_id)
    log_event(session, now=now, tenant=tenant, actor=caller.actor, action=AuditAction.BATCH_SUBMITTED, batch_id=batch_id, detail=counts)
