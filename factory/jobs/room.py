"""room: how many more rows a tenant may queue, and when to come back when there is no place. Nothing is written here.

Two orders at the same moment may both see the last place, and who has a memory of long queues (QueueMemory) sees those of a second ago:
the bound protects the queue, it promises no exact number.
"""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.orm import Session

from factory.domain.share import Allowance
from factory.jobs.queue_memory import QueueMemory

DEFAULT_MAX_QUEUED = 200_000
WINDOW_SECONDS = 300
SAMPLES = 3000
LONGEST_WAIT = 60  # seconds; what clients do with longer ones differs, and none of it helps
QUEUED = text("SELECT count(*) FROM (SELECT 1 FROM jobs WHERE tenant = :tenant AND status = 'queued' LIMIT :most) AS queued")
QUEUED_OF_USER = text(
    "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE tenant = :tenant AND status = 'queued' AND end_user = :user LIMIT :most) AS queued"
)
DRAINED = text(
    "SELECT count(*), extract(epoch FROM CAST(:now AS timestamptz) - min(at)) FROM"
    " (SELECT at FROM generations WHERE tenant = :tenant ORDER BY id DESC LIMIT :samples) AS newest"
    " WHERE at > CAST(:now AS timestamptz) - make_interval(secs => :window)"
)


def room_for(session: Session, *, tenant: str, user: str = "", default: int = DEFAULT_MAX_QUEUED, memory: QueueMemory | None = None) -> int:
    """Rows that still fit, of the tenant and, where it has a cap of its own, of its user. Held rows count: they are queued too.

    Without a `memory` they are counted now.
    """
    limits = limits_of(session, tenant=tenant, user=user, default=default)
    return min(_left(session, tenant, member, limit, memory) for member, limit in limits.items())


def _left(session: Session, tenant: str, user: str, limit: int, memory: QueueMemory | None) -> int:
    named = {"tenant": tenant, "user": user, "most": limit}

    def count() -> int:
        queued: int = session.execute(QUEUED_OF_USER if user else QUEUED, named).scalar_one()
        return queued

    return max(0, limit - (memory.queued(tenant, user, count) if memory else count()))


def limits_of(session: Session, *, tenant: str, user: str = "", default: int = DEFAULT_MAX_QUEUED) -> dict[str, int]:
    """`max_queued` of the tenant ('') and, when it has one, of the user."""
    where = [Allowance.tenant == tenant, Allowance.member.in_(["", user]), Allowance.max_queued.is_not(None)]
    found = session.execute(select(Allowance.member, Allowance.max_queued).where(*where)).all()
    return {"": default, **{member: limit for member, limit in found if limit is not None}}


def retry_after(session: Session, now: ColumnElement[Any], *, tenant: str, excess: int) -> int:
    """Seconds until `excess` rows will have a place, as fast as the tenant's pictures came in the last five minutes; 1 … 60."""
    moment = session.scalar(select(now))
    named = {"tenant": tenant, "now": moment, "samples": SAMPLES, "window": WINDOW_SECONDS}
    pictures, seconds = session.execute(DRAINED, named).one()
    return seconds_until(excess, drain_rate(pictures, float(seconds or 0)))


def drain_rate(pictures: int, oldest_seconds: float) -> float:
    """Pictures per second. The newest SAMPLES may not reach back over the whole window: then only the time that they span counts."""
    return pictures / max(1.0, oldest_seconds if pictures >= SAMPLES else WINDOW_SECONDS)


def seconds_until(excess: int, rate: float) -> int:
    """When nothing moves, the longest wait."""
    return max(1, min(LONGEST_WAIT, math.ceil(excess / rate))) if rate > 0 else LONGEST_WAIT
