"""quote: what an order would cost and when it would be done, before anything is ordered. Writes nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from sqlalchemy import Text, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.forecast import Flow, Line, Range, forecast
from factory.domain.job import Job
from factory.domain.status import JobStatus, Lane, Priority
from factory.domain.work import Work
from factory.jobs.backlog import Backlog, read_backlog
from factory.jobs.batch_order import BatchOrder
from factory.jobs.expected_cost import Speeds, load_speeds
from factory.jobs.match_twins import Known, known_specs
from factory.jobs.opening_hours import OpensAt, always_open
from factory.jobs.prepare_batch import KEPT_ERRORS, PreparedBatch
from factory.jobs.queue_state import SILENCE
from factory.jobs.room import DEFAULT_MAX_QUEUED, room_for
from factory.jobs.take_turns import MOST

AT_ONCE = 1000
ALONE = Line(Flow(0.0), (), 0.0, workers=1)  # what is drawn already stands behind nobody
DAY, LOOKS = timedelta(days=1), 96  # the hours are looked up every quarter of an hour


@dataclass(frozen=True)
class Finish:
    """One such order in ten ends before `p10`, half before `p50`, nine in ten before `p90`."""

    p10: datetime
    p50: datetime
    p90: datetime


@dataclass
class Quote:
    """`images` would be delivered: `to_draw` drawn, `duplicates` equal to others of the order, `reused` drawn or ordered before.

    `begun` is the longest picture, in GPU seconds, that a worker has already and this order would deliver too. `turns` is the weight
    with which all of its rows take turns with earlier orders, None if not all do. `room`: so many rows the tenant's queue would take now. `finish` is None when nothing can be said of it,
    for the reason `unknown`.
    """

    images: int = 0
    to_draw: int = 0
    duplicates: int = 0
    reused: int = 0
    rows_blocked: int = 0
    blocked: list[dict[str, Any]] = field(default_factory=list)
    gpu_seconds: float = 0.0
    gpu_seconds_saved: float = 0.0
    room: int = 0
    workers: int = 0
    finish: Finish | None = None
    unknown: str | None = None
    work: dict[Lane, Work] = field(default_factory=dict)
    begun: float = 0.0
    turns: float | None = None

    def keeps(self, deadline: datetime | None) -> bool | None:
        """Whether nine such orders in ten end by then; None where nothing can be said."""
        return self.finish.p90 <= deadline if self.finish and deadline else None

    def block(self, row: int, reason: dict[str, Any]) -> None:
        self.rows_blocked += 1
        if len(self.blocked) < KEPT_ERRORS:
            self.blocked.append({"row": row, **reason})


def quote_order(
    db: Database,
    *,
    tenant: str,
    order: BatchOrder,
    prepared: PreparedBatch,
    silence: timedelta = SILENCE,
    max_queued: int = DEFAULT_MAX_QUEUED,
    opens_at: OpensAt = always_open,
) -> Quote:
    """`prepared` are the rows that the order would take. A worker that was not heard of for `silence` counts as gone."""
    quote = Quote(rows_blocked=prepared.refused, blocked=list(prepared.errors))
    seen: set[bytes] = set()
    with db.transaction() as session:
        speeds = load_speeds(session)
    for chunk in _chunks(iter(prepared)):
        with db.transaction() as session:
            taken = _taken(session, tenant, [row["external_id"] for _, row in chunk if row["external_id"]])
            known = known_specs(session, db.now(), tenant=tenant, specs=[row["spec_sha256"] for _, row in chunk]) if order.reuse else {}
        for number, row in chunk:
            if reason := _refusal(row, taken):
                quote.block(number, reason)
            else:
                _add(quote, row, order, speeds, known, seen)
    quote.turns = (order.priority or Priority.BULK).weight if quote.to_draw <= MOST else None
    with db.transaction() as session:
        backlog = read_backlog(session, db.now(), tenant=tenant, user=order.user or "", silence=silence, opens_at=opens_at)
        quote.room = room_for(session, tenant=tenant, user=order.user or "", default=max_queued)
    say_when(quote, backlog, tenant, order.not_before, opens_at)
    return quote


def _refusal(row: dict[str, Any], taken: set[str]) -> dict[str, Any] | None:
    if row["external_id"] in taken:
        detail = f"external_id {row['external_id']!r} belongs to an earlier job; look it up instead of ordering it again"
        return {"code": "external_id_taken", "pointer": "/external_id", "value": row["external_id"], "detail": detail}
    return {"pointer": "/prompt", **(row["error"] or {})} if row["status"] == JobStatus.REJECTED.value else None


def _taken(session: Session, tenant: str, names: list[str]) -> set[str]:
    found = select(Job.external_id).where(Job.tenant == tenant, Job.external_id == any_(literal(names, ARRAY(Text))))
    return {name for name in session.scalars(found) if name is not None} if names else set()


def _add(quote: Quote, row: dict[str, Any], order: BatchOrder, speeds: Speeds, known: Mapping[str, Known], seen: set[bytes]) -> None:
    spec, digest = row["spec"], bytes.fromhex(row["spec_sha256"])
    cost = speeds.cost(spec["checkpoint"], spec["width"] * spec["height"])
    lane = (Priority(row["priority"]) if row["priority"] else order.priority or Priority.BULK).lane
    measured = bool(speeds.seconds.get(spec["checkpoint"]))
    quote.images += 1
    if (twin := known.get(row["spec_sha256"])) and twin.serves(lane):
        quote.reused += 1
        quote.gpu_seconds_saved += cost
        if digest not in seen:
            _await(quote, twin, cost, measured=measured)
        seen.add(digest)
    elif order.reuse and digest in seen:
        quote.duplicates += 1
        quote.gpu_seconds_saved += cost
    else:
        seen.add(digest)
        quote.work.setdefault(lane, Work()).draw(cost, measured=measured)
        quote.to_draw += 1
        quote.gpu_seconds += cost


def _await(quote: Quote, twin: Known, cost: float, *, measured: bool) -> None:
    """An equal job's picture comes when that one is drawn; one that is there delays nothing."""
    if twin.lane is not None:
        quote.work.setdefault(twin.lane, Work()).wait_for(cost, measured=measured)
    elif twin.begun:
        quote.begun = max(quote.begun, cost)


def say_when(quote: Quote, backlog: Backlog, tenant: str, not_before: datetime | None, opens_at: OpensAt) -> None:
    """The order is done when its last lane is."""
    quote.workers = backlog.workers
    waits = [*quote.work, None] if quote.begun else [*quote.work]
    if standstill := [reason for lane in waits if (reason := backlog.standstill(lane))]:
        quote.unknown = standstill[0]
        return
    earlier, last = 0.0, forecast(0.0, quote.begun, 0.0, ALONE)
    for lane in Lane:
        if work := quote.work.get(lane):
            line = backlog.line(lane, tenant, awaited=work.awaited)
            # Equal jobs that wait already stand where they are.
            beside = None if work.awaited or quote.turns is None else backlog.beside(lane, quote.turns)
            found = work.until(replace(line, ahead=line.ahead + earlier, beside=beside))
            last = Range(max(last.p10, found.p10), max(last.p50, found.p50), max(last.p90, found.p90))
            earlier += work.seconds
    # What waits for its hour finds the queue as it is then: at least its own work comes after it.
    delay = max(0.0, (not_before - backlog.moment).total_seconds()) + quote.gpu_seconds / max(1, backlog.workers) if not_before else 0.0
    moments = (backlog.moment + timedelta(seconds=max(seconds, delay)) for seconds in (last.p10, last.p50, last.p90))
    quote.finish = Finish(*moments)
    _mind_the_hours(quote, max(backlog.moment, not_before or backlog.moment), opens_at)


def _mind_the_hours(quote: Quote, begin: datetime, opens_at: OpensAt) -> None:
    """Off-peak work that would outlast its hours goes on when they come again: nothing is said of that. Hours are the same every day."""
    if quote.finish is None or Lane.OFFPEAK not in quote.work:
        return
    span = max(timedelta(0), min(quote.finish.p90 - begin, DAY))
    if any(opens_at(Lane.OFFPEAK, begin + span * step / LOOKS) for step in range(LOOKS + 1)):
        quote.finish, quote.unknown = None, "the off-peak hours end before all of it would be drawn; the rest waits until they come again"


def _chunks(rows: Iterator[tuple[int, dict[str, Any]]]) -> Iterator[list[tuple[int, dict[str, Any]]]]:
    while chunk := list(islice(rows, AT_ONCE)):
        yield chunk
