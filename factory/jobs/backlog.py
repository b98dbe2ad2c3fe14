"""backlog: the GPU seconds that wait, read off the marks of fair queueing: nothing is counted, however much waits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, DateTime, literal, select, text
from sqlalchemy.orm import Session

from factory.domain.forecast import Flow, Line
from factory.domain.share import Allowance
from factory.domain.status import Lane, Priority
from factory.jobs.lanes import paused_lanes
from factory.jobs.opening_hours import OpensAt, always_open
from factory.jobs.queue_state import SILENCE
from factory.jobs.worker_presence import workers_alive

# Orders that go on: `standard` shares the lane of `bulk`.
ORDERS = text(
    "SELECT coalesce(end_user, ''), priority, count(*) FROM batches"
    " WHERE tenant = :tenant AND ended_at IS NULL AND paused_at IS NULL AND NOT unread GROUP BY 1, 2"
)
# What a tenant has waiting lies between the mark of the lane and the finish of its last job, stretched by its weight.
WAITING = text("""
SELECT shares.lane, shares.tenant, greatest(0, shares.finish - marks.low) * coalesce(allowances.weight, 1) AS seconds,
       coalesce(allowances.weight, 1) AS weight
FROM shares
JOIN queue_marks AS marks ON marks.lane = shares.lane AND marks.checkpoint = '' AND marks.tenant = ''
LEFT JOIN allowances ON allowances.tenant = shares.tenant AND allowances.member = ''
WHERE shares.member = '' AND shares.finish > marks.low
  AND EXISTS (SELECT 1 FROM jobs WHERE jobs.tenant = shares.tenant AND jobs.lane = shares.lane AND status = 'queued' AND hold IS NULL)
""")
BEFORE: Mapping[Lane, Sequence[Lane]] = {
    Lane.INTERACTIVE: (),
    Lane.BULK: (Lane.INTERACTIVE,),
    Lane.OFFPEAK: (Lane.INTERACTIVE, Lane.BULK),
}


@dataclass(frozen=True)
class Backlog:
    """`flows`: lane → tenant → what it has waiting. `weight` is the asking tenant's; `cap` bounds what it has in work. `offpeak_at` is when
    the off-peak lane opens, None while it is open. `users`: lane → user → the weights of their orders that
    go on there, of this tenant; `user` is the asking one."""

    moment: datetime
    workers: int
    paused: frozenset[str]
    flows: Mapping[str, Mapping[str, Flow]]
    weight: float = 1.0
    cap: int | None = None
    offpeak_at: datetime | None = None
    users: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    user: str = ""

    def line(self, lane: Lane, tenant: str, *, awaited: float = 0.0) -> Line:
        """Where an order of this tenant would stand, of which `awaited` GPU seconds wait already. Ask only while workers are alive."""
        here = self.flows.get(lane.value, {})
        ahead = sum(flow.backlog for before in BEFORE[lane] for flow in self.flows.get(before.value, {}).values())
        own = here.get(tenant, Flow(0.0, self.weight))
        return Line(
            replace(own, backlog=max(own.backlog, awaited)),
            [flow for name, flow in here.items() if name != tenant],
            ahead,
            self.workers,
            self.cap,
        )

    def beside(self, lane: Lane, weight: float) -> float:
        """How much the tenant's other orders there get while one of this weight that takes turns gets 1. Single jobs count as an order."""
        here = dict(self.users.get(lane.value, {}))
        own = here.pop(self.user, 0.0 if here else 1.0) / weight
        return (1 + len(here)) * (1 + own) - 1

    def standstill(self, lane: Lane | None) -> str | None:
        """Why nothing can be said of the end; None when something can. What a worker has begun waits in no lane any more."""
        if not self.workers:
            return "no worker is alive; the order would wait until one is started"
        if lane is None:
            return None
        if lane.value in self.paused:
            return f"the lane {lane.value} is paused; the order would wait until it is resumed"
        if self.cap == 0:
            return "max_running is 0: nothing of the order would be drawn until the operator raises it"
        if lane is Lane.OFFPEAK and self.offpeak_at is not None:
            at = self.offpeak_at.isoformat(timespec="seconds")
            return f"an off-peak order is drawn in the hours that the operator opens for it, the next time from {at}"
        return None


def read_backlog(
    session: Session,
    now: ColumnElement[Any],
    *,
    tenant: str,
    user: str = "",
    silence: timedelta = SILENCE,
    opens_at: OpensAt = always_open,
) -> Backlog:
    """Of this tenant and, where the order names one, its user. A worker that was not heard of for `silence` counts as gone."""
    moment = session.execute(select(now)).scalar_one()
    flows: dict[str, dict[str, Flow]] = {}
    for row in session.execute(WAITING):
        flows.setdefault(row.lane, {})[row.tenant] = Flow(float(row.seconds), float(row.weight))
    users: dict[str, dict[str, float]] = {}
    for name, priority, count in session.execute(ORDERS, {"tenant": tenant}):
        there = users.setdefault(Priority(priority).lane.value, {})
        there[name] = there.get(name, 0.0) + count * Priority(priority).weight
    own = session.get(Allowance, (tenant, ""))
    allowed = [own, session.get(Allowance, (tenant, user))]
    return Backlog(
        moment=moment,
        workers=len(workers_alive(session, literal(moment, DateTime(timezone=True)), within=silence)),
        paused=frozenset(paused_lanes(session)),
        flows=flows,
        weight=own.weight if own else 1.0,
        cap=min((row.max_running for row in allowed if row and row.max_running is not None), default=None),
        offpeak_at=opens_at(Lane.OFFPEAK, moment),
        users=users,
        user=user,
    )
