"""submit_batch: a prepared order becomes rows, by COPY, all or none of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import datetime
from itertools import chain
from typing import Any

import orjson
from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import Session

from factory.db import copy_rows, text_array
from factory.domain.audit_event import AuditAction, AuditEvent
from factory.domain.caller import Caller
from factory.domain.expiry import expiry
from factory.domain.job import Job
from factory.domain.row import new_id
from factory.domain.status import JobStatus, Priority
from factory.jobs.apply_caps import apply_caps
from factory.jobs.batch_order import BatchOrder
from factory.jobs.change_status import EVENT_COLUMNS
from factory.jobs.check_times import check_times
from factory.jobs.log_event import log_event
from factory.jobs.match_twins import lock_twins, match_twins
from factory.jobs.new_job import SHORT_ORDER, Placement, job_columns, kind_by, kind_of, numbers, submitted_events
from factory.jobs.prepare_batch import PreparedBatch
from factory.jobs.require_room import no_place, require_room
from factory.jobs.room import DEFAULT_MAX_QUEUED
from factory.jobs.settle_twins import settle_twins
from factory.jobs.shares import MEMBERS, Demand, Tag, Tags, count_kinds, places
from factory.jobs.take_turns import take_turns
from factory.jobs.taken_ids import already_ordered, nothing_new, taken_ids
from factory.jobs.unread_orders import ReceivedBatch, free_name

JSON_COLUMNS = frozenset({"requested", "spec", "warnings", "error", "customer_metadata"})


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
    room = require_room(session, now, tenant=caller.tenant, user=order.user or "", wanted=prepared.rows, default=max_queued)
    prepared.cut(room.left, lambda number: no_place(number, room.left))
    taken = taken_ids(session, caller.tenant, prepared)
    accepted = prepared.rows - len(taken)
    if not accepted:
        raise nothing_new(taken)
    twins = order.reuse and prepared.may_repeat  # to seeds by chance there is no equal, before them or beside them
    if twins and accepted <= SHORT_ORDER:
        lock_twins(session, caller.tenant)  # a short order keeps its numbers and shares locked: it waits before it has them
    batch_id = received.id if received else new_id()
    placement = _placement(batch_id, session.execute(select(now)).scalar_one(), order, received)
    for name, number in taken.items():
        prepared.refuse(number, [already_ordered(number, name)])
    free_name(session, tenant=caller.tenant, external_id=order.external_id)
    row = order.as_row(caller, batch_id, placement.ordered_at or placement.moment, request_sha256=request_sha256)
    row.rows_accepted, row.rows_refused, row.row_errors, row.next_row = accepted, prepared.refused, prepared.errors, prepared.next_row
    if received is None:
        session.add(row)
        session.flush()
    demand = _demand(prepared, taken, order, placement)
    with (
        numbers(session, caller, placement, accepted) as first,
        places(session, caller.tenant, demand, long=accepted > SHORT_ORDER) as tags,
    ):
        _write(session, now, caller, _rows(prepared, taken, caller, placement, order, tags, first), placement)
    if received is not None:
        received.take(session)
        session.merge(row)
        session.flush()
    _finish(session, now, caller, batch_id, {"accepted": accepted, "refused": prepared.refused}, twins=twins)
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


def _write(session: Session, now: ColumnElement[Any], caller: Caller, rows: Iterator[dict[str, Any]], placement: Placement) -> None:
    head = next(rows)
    copy_rows(session, "jobs", list(head), (tuple(row.values()) for row in chain([head], rows)))
    mine = Job.batch_id == placement.batch_id
    session.execute(insert(AuditEvent).from_select(EVENT_COLUMNS, submitted_events(now, caller.actor).where(mine)))


def _finish(session: Session, now: ColumnElement[Any], caller: Caller, batch_id: uuid.UUID, counts: dict[str, int], *, twins: bool) -> None:
    """What needs the rows to be there: twins, turns, caps, and the event of the whole."""
    tenant = caller.tenant
    if twins:
        match_twins(session, now, tenant=tenant, batch_id=batch_id)
        settle_twins(session, now, batch_id=batch_id)
    take_turns(session, tenant=tenant, batch_id=batch_id)
    apply_caps(session, now, tenant=tenant, batch_id=batch_id)
    log_event(session, now=now, tenant=tenant, actor=caller.actor, action=AuditAction.BATCH_SUBMITTED, batch_id=batch_id, detail=counts)


def _ordered(prepared: PreparedBatch, taken: dict[str, int], order: BatchOrder) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, ordered in prepared:
        if ordered["external_id"] not in taken:
            _inherit(ordered, order)
            yield number, ordered


def _demand(prepared: PreparedBatch, taken: dict[str, int], order: BatchOrder, placement: Placement) -> Demand:
    """Asked before the rows are written: their places are reserved at once, and COPY leaves no room for questions."""
    if taken or prepared.next_row or len(prepared.drawn) > MEMBERS:
        drawn = (ordered for _, ordered in _ordered(prepared, taken, order) if ordered["status"] == JobStatus.QUEUED.value)
        return count_kinds(kind_of(ordered, placement) for ordered in drawn)
    demand = Demand()
    for row, count in prepared.drawn.items():
        demand[kind_by(row, placement, order.user)] += count
    return demand


def _rows(
    prepared: PreparedBatch, taken: dict[str, int], caller: Caller, placement: Placement, order: BatchOrder, tags: Tags, first: int
) -> Iterator[dict[str, Any]]:
    for seq, (number, ordered) in enumerate(_ordered(prepared, taken, order), first):
        kind = kind_of(ordered, placement)
        tag = tags.next(kind) if ordered["status"] == JobStatus.QUEUED.value else Tag(0.0, 0.0, tags.cost(kind))
        yield for_copy(job_columns(ordered, caller, placement, kind, tag, seq=seq, row_no=number))


def for_copy(columns: dict[str, Any]) -> dict[str, Any]:
    """As COPY takes a row: JSON as text, and arrays too, into which the driver would look item by item."""
    for name in JSON_COLUMNS:
        if columns[name] is not None:
            columns[name] = orjson.dumps(columns[name]).decode()
    columns["tags"] = text_array(tuple(columns["tags"]))
    return columns


def _inherit(ordered: dict[str, Any], order: BatchOrder) -> None:
    """What a row does not say, the order says for it, so that filters on jobs find both."""
    for name, value in (("end_user", order.user), ("campaign", order.campaign), ("cost_centre", order.cost_centre)):
        ordered[name] = ordered[name] or value
    ordered["tags"] = ordered["tags"] or list(order.tags)
    ordered["customer_metadata"] = dict(order.metadata) | ordered["customer_metadata"]
