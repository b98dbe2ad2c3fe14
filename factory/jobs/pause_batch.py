"""pause_batch: what waits in a batch is offered to no worker until the batch is resumed; what runs is finished."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Text, case, func, literal, null, or_, select, text, update
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.status import Hold, JobStatus
from factory.jobs.apply_caps import is_capped
from factory.jobs.chunks import JOBS, After, change_rows, in_chunks
from factory.jobs.end_batches import OPEN
from factory.jobs.enter_queue import announce, lifted
from factory.jobs.log_event import log_event
from factory.jobs.take_turns import lock_turns

# How far the queue went on meanwhile. All rows of a lane move by as much, or they would come back as one block before everybody.
SHIFTS = text("""
SELECT first.lane, max(greatest(0, every.low - first.vft)) AS later, max(greatest(0, own.low - first.turn)) AS turn_later
FROM (
  SELECT tenant, lane, checkpoint, min(vft) AS vft, min(turn) AS turn FROM jobs WHERE batch_id = :batch AND hold = 'paused' GROUP BY 1, 2, 3
) AS first
LEFT JOIN queue_marks AS every ON every.lane = first.lane AND every.checkpoint = '' AND every.tenant = ''
LEFT JOIN queue_marks AS own ON own.lane = first.lane AND own.checkpoint = first.checkpoint AND own.tenant = first.tenant
GROUP BY first.lane
""")
# Both find nothing in an instant, however large the batches are. LIMIT and the recursion keep the planner to one look into the index each.
TO_HOLD = text("""
SELECT batches.tenant, batches.id FROM batches
CROSS JOIN LATERAL (SELECT FROM jobs WHERE batch_id = batches.id AND status = 'queued' AND hold IS NULL LIMIT 1) AS waiting
WHERE batches.ended_at IS NULL AND batches.paused_at IS NOT NULL
""")
TO_RELEASE = text("""
WITH RECURSIVE held AS (
  (SELECT batch_id FROM jobs WHERE hold = 'paused' ORDER BY batch_id LIMIT 1)
  UNION ALL
  SELECT (SELECT batch_id FROM jobs WHERE hold = 'paused' AND batch_id > held.batch_id ORDER BY batch_id LIMIT 1) FROM held
  WHERE held.batch_id IS NOT NULL
)
SELECT batches.tenant, batches.id FROM held JOIN batches ON batches.id = held.batch_id WHERE batches.paused_at IS NULL
""")


@dataclass(frozen=True)
class Converged:
    """Jobs that upkeep had to hold or to let go after others."""

    held: int
    released: int


def pause_batch(db: Database, *, tenant: str, batch_id: uuid.UUID, actor: Actor) -> int:
    """Returns how many jobs this call held. Again, or of a batch that has ended: nothing. Upkeep goes on where a process died."""
    now = db.now()
    is_open = select(Job.id).where(Job.batch_id == batch_id, Job.status.in_(OPEN)).exists()
    mine = [Batch.tenant == tenant, Batch.id == batch_id, Batch.ended_at.is_(None), Batch.paused_at.is_(None), or_(is_open, Batch.unread)]
    with db.transaction() as session:
        # Before the next statement looks: a reader that gives the batch its rows is through then, and they are seen.
        session.execute(select(Batch.id).where(*mine[:2]).with_for_update(key_share=True))
        if session.scalars(
            update(Batch).where(*mine).values(paused_at=now).returning(Batch.id).execution_options(synchronize_session=False)
        ).first():
            _log(session, now, AuditAction.BATCH_PAUSED, tenant, batch_id, actor)
    return _hold(db, tenant, batch_id)


def resume_batch(db: Database, *, tenant: str, batch_id: uuid.UUID, actor: Actor) -> int:
    """Returns how many jobs this call let go; the caller rings for them. Of a tenant with a cap they join its line."""
    now = db.now()
    mine = [Batch.tenant == tenant, Batch.id == batch_id, Batch.paused_at.is_not(None)]
    with db.transaction() as session:
        if session.scalars(
            update(Batch).where(*mine).values(paused_at=null()).returning(Batch.id).execution_options(synchronize_session=False)
        ).first():
            _log(session, now, AuditAction.BATCH_RESUMED, tenant, batch_id, actor)
    return _release(db, tenant, batch_id)


def converge_pauses(db: Database) -> Converged:
    """What came back to the queue in a paused batch is held; what is still held in one that was resumed is let go. Safe to repeat."""
    with db.transaction() as session:
        paused = session.execute(TO_HOLD).all()
        left = session.execute(TO_RELEASE).all()
    held = sum(_hold(db, tenant, batch_id) for tenant, batch_id in paused)
    return Converged(held, sum(_release(db, tenant, batch_id) for tenant, batch_id in left))


def _hold(db: Database, tenant: str, batch_id: uuid.UUID) -> int:
    waits = [JOBS.c.batch_id == batch_id, JOBS.c.status == JobStatus.QUEUED.value, JOBS.c.hold.is_(None)]

    def step(session: Session, after: After) -> tuple[int, After] | None:
        if not _is_paused(session, batch_id):
            return None
        lock_turns(session, tenant)
        return change_rows(session, waits, after, {"hold": Hold.PAUSED.value})

    return in_chunks(db, step)


def _release(db: Database, tenant: str, batch_id: uuid.UUID) -> int:
    with db.transaction() as session:
        shifts = session.execute(SHIFTS, {"batch": batch_id}).all()
    return sum(_release_lane(db, tenant, batch_id, shift) for shift in shifts)


def _release_lane(db: Database, tenant: str, batch_id: uuid.UUID, shift: Any) -> int:
    held = [JOBS.c.batch_id == batch_id, JOBS.c.hold == Hold.PAUSED.value, JOBS.c.lane == shift.lane]

    def step(session: Session, after: After) -> tuple[int, After] | None:
        announce(session)
        if _is_paused(session, batch_id):
            return None
        capped = is_capped(session, tenant=tenant)
        lock_turns(session, tenant)
        return change_rows(session, held, after, _waiting(db.now(), shift.later, shift.turn_later, capped=capped))

    return in_chunks(db, step)


def _waiting(now: ColumnElement[Any], later: float, turn_later: float, *, capped: bool) -> dict[str, Any]:
    """What comes back stands where it stood among its own rows, and before nothing that a mark has passed."""
    lows = lifted()
    scheduled, line = literal(Hold.SCHEDULED.value, Text), literal(Hold.CAPPED.value, Text) if capped else null()
    return {
        "hold": case((JOBS.c.not_before > now, scheduled), else_=line),
        "ready_at": now,
        "vft": func.greatest(JOBS.c.vft + later, lows["vft"]),
        "turn": func.greatest(JOBS.c.turn + turn_later, lows["turn"]),
    }


def _is_paused(session: Session, batch_id: uuid.UUID) -> bool:
    """Nobody pauses, resumes or ends the batch before this transaction is through."""
    moment: datetime | None = session.scalar(select(Batch.paused_at).where(Batch.id == batch_id).with_for_update(read=True))
    return moment is not None


def _log(session: Session, now: ColumnElement[Any], action: AuditAction, tenant: str, batch_id: uuid.UUID, actor: Actor) -> None:
    log_event(session, now=now, tenant=tenant, actor=actor, action=action, batch_id=batch_id)
