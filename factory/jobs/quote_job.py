"""quote_job: when one picture would be done, for the reply to a single order. Ask before its row is there, or it stands before itself."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from factory.domain.status import Priority
from factory.domain.work import Work
from factory.jobs.admit import Admitted
from factory.jobs.backlog import read_backlog
from factory.jobs.expected_cost import load_speeds
from factory.jobs.opening_hours import OpensAt, always_open
from factory.jobs.queue_state import SILENCE
from factory.jobs.quote import Quote, say_when


def quote_job(
    session: Session,
    now: ColumnElement[Any],
    *,
    tenant: str,
    admitted: Admitted,
    silence: timedelta = SILENCE,
    opens_at: OpensAt = always_open,
) -> Quote:
    """From the marks of the queue, in a few short statements, however much waits. A single order is always drawn: nothing is reused."""
    order, spec = admitted.order, admitted.spec
    speeds = load_speeds(session)
    cost = speeds.cost_of(spec)
    lane = (order.priority or Priority.INTERACTIVE).lane
    work = Work()
    work.draw(cost, measured=bool(speeds.seconds.get(spec.checkpoint)))
    quote = Quote(images=1, to_draw=1, gpu_seconds=cost, work={lane: work})
    backlog = read_backlog(session, now, tenant=tenant, user=order.user or "", silence=silence, opens_at=opens_at)
    say_when(quote, backlog, tenant, order.not_before, opens_at)
    return quote
