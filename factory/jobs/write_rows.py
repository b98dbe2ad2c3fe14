"""write_rows: the rows of a prepared order that fit become jobs of its batch, by COPY, each with its first event."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson
from sqlalchemy import ColumnElement, insert
from sqlalchemy.orm import Session

from factory.db import copy_rows, text_array
from factory.domain.audit_event import AuditEvent
from factory.domain.caller import Caller
from factory.domain.job import Job
from factory.domain.status import Hold, JobStatus
from factory.jobs.batch_order import BatchOrder
from factory.jobs.change_status import EVENT_COLUMNS
from factory.jobs.match_twins import lock_twins
from factory.jobs.new_job import SHORT_ORDER, Placement, job_columns, kind_by, kind_of, submitted_events
from factory.jobs.prepare_batch import PreparedBatch
from factory.jobs.require_room import no_place, require_room
from factory.jobs.shares import MEMBERS, Demand, Tag, Tags, count_kinds
from factory.jobs.taken_ids import already_ordered, nothing_new, taken_ids

JSON_COLUMNS = frozenset({"requested", "spec", "warnings", "error", "customer_metadata"})


@dataclass(frozen=True)
class FittingRows:
    """What can be written of a prepared order: each row has a place in the queue and a name of its own (`taken` ones had not)."""

    order: BatchOrder
    prepared: PreparedBatch
    taken: Mapping[str, int]

    @property
    def accepted(self) -> int:
        return self.prepared.rows - len(self.taken)

    @property
    def is_long(self) -> bool:
        """Nobody should wait for it to be written."""
        return self.accepted > SHORT_ORDER

    @property
    def may_have_twins(self) -> bool:
        """To seeds by chance there is no equal, before them or beside them."""
        return self.order.reuse and self.prepared.may_repeat

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, ordered in self.prepared:
            if ordered["external_id"] not in self.taken:
                _inherit(ordered, self.order)
                yield number, ordered

    def demand(self, placement: Placement) -> Demand:
        """Asked before the rows are written: their places are reserved at once, and COPY leaves no room for questions."""
        if self.taken or self.prepared.next_row or len(self.prepared.drawn) > MEMBERS:
            drawn = (ordered for _, ordered in self if ordered["status"] == JobStatus.QUEUED.value)
            return count_kinds(kind_of(ordered, placement) for ordered in drawn)
        demand = Demand()
        for row, count in self.prepared.drawn.items():
            demand[kind_by(row, placement, self.order.user)] += count
        return demand


def fit_rows(
    session: Session, now: ColumnElement[Any], caller: Caller, order: BatchOrder, prepared: PreparedBatch, *, max_queued: int
) -> FittingRows:
    """Rows whose external id is taken by an earlier order are refused, like any other row that cannot be accepted; so are the last ones
    if the queue has no room for all (`prepared.next_row`). Raises QueueFull when it has room for none, Invalid when all are taken.

    Equal orders of one tenant wait for each other from here on, if they are short and twins are looked for.
    """
    room = require_room(session, now, tenant=caller.tenant, user=order.user or "", wanted=prepared.rows, default=max_queued)
    prepared.cut(room.left, lambda number: no_place(number, room.left))
    rows = FittingRows(order, prepared, taken_ids(session, caller.tenant, prepared))
    if not rows.accepted:
        raise nothing_new(dict(rows.taken))
    for name, number in rows.taken.items():
        prepared.refuse(number, [already_ordered(number, name)])
    if rows.may_have_twins and not rows.is_long:
        lock_twins(session, caller.tenant)  # a short order keeps its numbers and shares locked: it waits before it has them
    return rows


def write_rows(
    session: Session,
    now: ColumnElement[Any],
    caller: Caller,
    rows: FittingRows,
    placement: Placement,
    tags: Tags,
    *,
    seq: int,
    after: int = 0,
    hold: Hold | None = None,
) -> None:
    """`seq` is the first one's file number, `after` the last row that the batch has already. What would wait has this `hold`."""
    columns = _columns(rows, caller, placement, tags, seq, hold)
    head = next(columns)
    copy_rows(session, "jobs", list(head), (tuple(row.values()) for row in chain([head], columns)))
    mine = Job.batch_id == placement.batch_id, Job.row_no > after
    session.execute(insert(AuditEvent).from_select(EVENT_COLUMNS, submitted_events(now, caller.actor).where(*mine)))


def _columns(
    rows: FittingRows, caller: Caller, placement: Placement, tags: Tags, first: int, hold: Hold | None
) -> Iterator[dict[str, Any]]:
    for seq, (number, ordered) in enumerate(rows, first):
        kind, waits = kind_of(ordered, placement), ordered["status"] == JobStatus.QUEUED.value
        tag = tags.next(kind) if waits else Tag(0.0, 0.0, tags.cost(kind))
        columns = job_columns(ordered, caller, placement, kind, tag, seq=seq, row_no=number)
        if hold and waits:
            columns["hold"] = columns["hold"] or hold.value
        yield for_copy(columns)


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
