"""settle_twins: what waits for an equal picture is delivered with it; where that one came to nothing, one of them is drawn itself."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, and_, case, exists, func, null, or_, select, update
from sqlalchemy.orm import Session, aliased

from factory.db import Database
from factory.domain.asset import Asset
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.share import Allowance
from factory.domain.status import Hold, JobStatus
from factory.jobs.change_status import JOBS, change_status, pick
from factory.jobs.enter_queue import announce, lifted
from factory.jobs.match_twins import COLUMNS, has_picture, is_coming, pair

UPKEEP = Actor("upkeep", "settle_twins")
AT_ONCE = 2000
RECENT = timedelta(minutes=2)  # twice as long as until upkeep looks at all of them again


@dataclass(frozen=True)
class Settled:
    """`delivered` with their twin's picture; `released` are drawn themselves; `moved` wait for another equal one."""

    delivered: int = 0
    released: int = 0
    moved: int = 0

    @property
    def is_all(self) -> bool:
        """Whether nothing more can be settled now."""
        return self.delivered < AT_ONCE and self.released + self.moved < AT_ONCE


def settle_every_twin(db: Database, *, recent: timedelta | None = None) -> Settled:
    """All that can be settled now, in short transactions. That looks at every twin there is, however many wait.

    `recent`: only deliver pictures that were drawn within that time. That costs as much as there are such pictures.
    """
    total = Settled()
    while True:
        with db.transaction() as session:
            done = settle_twins(session, db.now(), recent=recent)
        total = Settled(total.delivered + done.delivered, total.released + done.released, total.moved + done.moved)
        if done.is_all:
            return total


def settle_twins(
    session: Session,
    now: ColumnElement[Any],
    *,
    batch_id: uuid.UUID | None = None,
    recent: timedelta | None = None,
) -> Settled:
    """At most AT_ONCE of each kind. A new batch asks only for its own deliveries, by `batch_id`; upkeep asks for all,
    or for those of `recent` pictures."""
    whose: list[ColumnElement[bool]] = [] if batch_id is None else [Job.batch_id == batch_id]
    whose += [] if recent is None else [_of_pictures_since(now - recent)]
    delivered = change_status(
        session,
        pick(
            Job.hold == Hold.TWIN.value,
            has_picture(Job.twin_id),
            or_(Job.not_before.is_(None), Job.not_before <= now),
            or_(Job.expires_at.is_(None), Job.expires_at > now),
            *whose,
        )
        .order_by(Job.id)
        .limit(AT_ONCE)
        .with_for_update(of=Job, skip_locked=True),
        JobStatus.SUCCEEDED,
        now=now,
        action=AuditAction.JOB_REUSED,
        actor=UPKEEP,
        values={"hold": null(), "error": null()},
        told=("twin_id",),
    )
    if whose:
        return Settled(len(delivered))
    return Settled(len(delivered), *_release(session, now))


def _of_pictures_since(moment: ColumnElement[Any]) -> ColumnElement[bool]:
    """By the index of the assets' times, then by that of twins; never by walking over what waits."""
    drawn = select(Asset.job_id).where(Asset.created_at > moment, Asset.deleted_at.is_(None)).cte("drawn")
    drawn = drawn.prefix_with("MATERIALIZED", dialect="postgresql")
    twin = aliased(Job)
    found = select(twin.id).join(drawn, drawn.c.job_id == twin.twin_id).where(twin.hold == Hold.TWIN.value).cte("found")
    return Job.id.in_(select(found.prefix_with("MATERIALIZED", dialect="postgresql").c.id))


def _release(session: Session, now: ColumnElement[Any]) -> tuple[int, int]:
    """Twins of what failed, was canceled, lost its file or waits longer than they may: one of each kind is drawn, for all of them."""
    # One at a time: two that saw half a group each would draw it twice.
    if not session.scalar(select(func.pg_try_advisory_xact_lock(func.hashtextextended("twins", 0)))):
        return 0, 0
    original, other = aliased(Job), aliased(Job)
    waits_too = and_(original.status == JobStatus.QUEUED.value, original.twin_id.is_(None), original.batch_id == Job.batch_id)
    fine = exists().where(original.id == Job.twin_id, or_(is_coming(original, Job), waits_too, has_picture(original.id)))
    orphans = select(*COLUMNS).where(Job.hold == Hold.TWIN.value, ~fine).order_by(Job.id).limit(AT_ONCE)
    announce(session)
    pairs = pair(orphans.with_for_update(of=Job, skip_locked=True).cte("mine"), other, other.twin_id.is_(None), now)
    drawn = pairs.c.twin_id == pairs.c.id
    values: dict[str, Any] = {name: case((drawn, place), else_=JOBS.c[name]) for name, place in lifted().items()}
    values |= {
        "twin_id": case((drawn, null()), else_=pairs.c.twin_id),
        "hold": case((drawn, _own_hold(now)), else_=Hold.TWIN.value),
        "ready_at": case((drawn, now), else_=JOBS.c.ready_at),
    }
    moved = update(Job).where(JOBS.c.id == pairs.c.id).values(values).returning(JOBS.c.twin_id).cte("moved")
    counts = func.count().filter(moved.c.twin_id.is_(None)), func.count(moved.c.twin_id)
    released, elsewhere = session.execute(select(*counts).select_from(moved)).one()
    return released, elsewhere


def _own_hold(now: ColumnElement[Any]) -> ColumnElement[Any]:
    """Why it would wait if it had never had a twin. Of a tenant with a cap it joins its line: whoever counts the cap must hold no rows."""
    paused = exists().where(Batch.id == JOBS.c.batch_id, Batch.paused_at.is_not(None))
    capped = exists().where(Allowance.tenant == JOBS.c.tenant, Allowance.max_running.is_not(None))
    holds = (JOBS.c.not_before > now, Hold.SCHEDULED.value), (paused, Hold.PAUSED.value), (capped, Hold.CAPPED.value)
    return case(*holds, else_=null())
