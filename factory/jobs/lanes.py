"""lanes: close a lane and open it again. Claims look at the table each time, so it takes effect with the next claim."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, null, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.lane_state import LaneState
from factory.domain.status import Lane
from factory.jobs.checkpoints import HOUSE
from factory.jobs.log_event import log_event

COUNTED = 10_000  # a view of the queue says "more" beyond it
HOW_FULL = text(
    "SELECT (SELECT count(*) FROM (SELECT 1 FROM jobs WHERE status = 'queued' AND hold IS NULL AND lane = :lane LIMIT :most) AS counted),"
    " (SELECT extract(epoch FROM CAST(:now AS timestamptz) - ready_at) FROM jobs"
    " WHERE status = 'queued' AND hold IS NULL AND lane = :lane AND vft >="
    " coalesce((SELECT settled FROM queue_marks WHERE lane = :lane AND checkpoint = '' AND tenant = ''), '-infinity')"
    " ORDER BY vft, id LIMIT 1)"
)


@dataclass(frozen=True)
class LaneView:
    """How a lane stands. `waiting` is counted up to COUNTED, `more` says that there are more; `head_seconds` is how long its head waits."""

    lane: Lane
    paused_at: datetime | None
    paused_by: str | None
    waiting: int
    more: bool
    head_seconds: float | None


def pause_lane(db: Database, *, lane: Lane, actor: Actor) -> bool:
    """No job of this lane is claimed until it is resumed; what is in work is finished. False when it was paused already."""
    now = db.now()
    values = {"paused_at": now, "paused_by": actor.name}
    with db.transaction() as session:
        statement = insert(LaneState).values(lane=lane.value, **values)
        changed = session.scalars(
            statement.on_conflict_do_update(index_elements=[LaneState.lane], set_=values, where=LaneState.paused_at.is_(None)).returning(
                LaneState.lane
            )
        ).first()
        if changed:
            _log(session, now, AuditAction.LANE_PAUSED, lane, actor)
    return changed is not None


def resume_lane(db: Database, *, lane: Lane, actor: Actor) -> bool:
    """False when it was open already. Whoever calls this rings for workers."""
    now = db.now()
    with db.transaction() as session:
        changed = session.scalars(
            update(LaneState)
            .where(LaneState.lane == lane.value, LaneState.paused_at.is_not(None))
            .values(paused_at=null(), paused_by=null())
            .returning(LaneState.lane)
        ).first()
        if changed:
            _log(session, now, AuditAction.LANE_RESUMED, lane, actor)
    return changed is not None


def paused_lanes(session: Session) -> dict[str, LaneState]:
    """The lanes that are closed now, by name."""
    return {row.lane: row for row in session.scalars(select(LaneState).where(LaneState.paused_at.is_not(None)))}


def lane_states(db: Database) -> list[LaneView]:
    """Every lane, from the partial indexes only, each counted up to COUNTED."""
    with db.transaction() as session:
        moment = session.execute(select(db.now())).scalar_one()
        paused = paused_lanes(session)
        return [_view(session, moment, lane, paused.get(lane.value)) for lane in Lane]


def _view(session: Session, moment: datetime, lane: Lane, state: LaneState | None) -> LaneView:
    waiting, seconds = session.execute(HOW_FULL, {"lane": lane.value, "most": COUNTED + 1, "now": moment}).one()
    return LaneView(
        lane=lane,
        paused_at=state.paused_at if state else None,
        paused_by=state.paused_by if state else None,
        waiting=min(waiting, COUNTED),
        more=waiting > COUNTED,
        head_seconds=None if seconds is None else round(max(0.0, float(seconds)), 3),
    )


def _log(session: Session, now: ColumnElement[Any], action: AuditAction, lane: Lane, actor: Actor) -> None:
    log_event(session, now=now, tenant=HOUSE, actor=actor, action=action, detail={"lane": lane.value})
