"""pause_batch: what waits in a batch is offered to no worker until the batch is resumed; what runs is finished."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, TextClause, null, select, text, update
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.status import Hold
from factory.jobs.apply_caps import is_capped
from factory.jobs.end_batches import OPEN
from factory.jobs.log_event import log_event

CHUNK = 5000
PICKED = """
  SELECT id FROM jobs WHERE batch_id = :batch AND row_no >= :row AND (row_no, id) > (:row, CAST(:id AS uuid)) AND {which}
  ORDER BY row_no, id LIMIT :chunk FOR UPDATE SKIP LOCKED
"""
LAST = "SELECT count(*) OVER () AS jobs, row_no, id FROM changed ORDER BY row_no DESC, id DESC LIMIT 1"
HOLD = text(f"""
WITH picked AS ({PICKED.format(which="status = 'queued' AND hold IS NULL")}),
changed AS (UPDATE jobs SET hold = 'paused' FROM picked WHERE jobs.id = picked.id RETURNING jobs.row_no, jobs.id)
{LAST}
""")  # noqa: S608 - put together from our own constants
# What comes back stands where it stood among its own rows, and before nothing that a mark has passed: see QueueMark.
RELEASE = text(f"""
WITH picked AS ({PICKED.format(which="hold = 'paused' AND lane = :lane")}),
changed AS (
  UPDATE jobs SET ready_at = :now, hold = CASE WHEN not_before > :now THEN 'scheduled' WHEN :capped THEN 'capped' END,
    vft = greatest(vft + :later, (SELECT max(low) FROM queue_marks AS m
      WHERE m.lane = jobs.lane AND m.tenant = '' AND m.checkpoint IN ('', jobs.checkpoint))),
    turn = greatest(turn + :turn_later, (SELECT low FROM queue_marks AS m
      WHERE m.lane = jobs.lane AND m.checkpoint = jobs.checkpoint AND m.tenant = jobs.tenant))
  FROM picked WHERE jobs.id = picked.id RETURNING jobs.row_no, jobs.id
)
{LAST}
""")  # noqa: S608 - as above
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
WITH_ID = text("SELECT CAST(pg_current_xact_id() AS text)")


@dataclass(frozen=True)
class Converged:
    """Jobs that upkeep had to hold or to let go after others."""

    held: int
    released: int


def pause_batch(db: Database, *, tenant: str, batch_id: uuid.UUID, actor: Actor) -> int:
    """Returns how many jobs this call held. Again, or of a batch that has ended: nothing. Upkeep goes on where a process died."""
    now = db.now()
    is_open = select(Job.id).where(Job.batch_id == batch_id, Job.status.in_(OPEN)).exists()
    mine = [Batch.tenant == tenant, Batch.id == batch_id, Batch.ended_at.is_(None), Batch.paused_at.is_(None), is_open]
    with db.transaction() as session:
        if session.scalars(update(Batch).where(*mine).values(paused_at=now).returning(Batch.id)).first():
            _log(session, now, AuditAction.BATCH_PAUSED, tenant, batch_id, actor)
    return _hold(db, batch_id)


def resume_batch(db: Database, *, tenant: str, batch_id: uuid.UUID, actor: Actor) -> int:
    """Returns how many jobs this call let go; the caller rings for them. Of a tenant with a cap they join its line."""
    now = db.now()
    mine = [Batch.tenant == tenant, Batch.id == batch_id, Batch.paused_at.is_not(None)]
    with db.transaction() as session:
        if session.scalars(update(Batch).where(*mine).values(paused_at=null()).returning(Batch.id)).first():
            _log(session, now, AuditAction.BATCH_RESUMED, tenant, batch_id, actor)
    return _release(db, tenant, batch_id)


def converge_pauses(db: Database) -> Converged:
    """What came back to the queue in a paused batch is held; what is still held in one that was resumed is let go. Safe to repeat."""
    with db.transaction() as session:
        paused = session.scalars(select(Batch.id).where(Batch.ended_at.is_(None), Batch.paused_at.is_not(None))).all()
        left = session.execute(
            select(Batch.tenant, Batch.id)
            .join(Job, Job.batch_id == Batch.id)
            .where(Job.hold == Hold.PAUSED.value, Batch.paused_at.is_(None))
            .distinct()
        ).all()
    held = sum(_hold(db, batch_id) for batch_id in paused)
    return Converged(held, sum(_release(db, tenant, batch_id) for tenant, batch_id in left))


def _hold(db: Database, batch_id: uuid.UUID) -> int:
    return _in_chunks(db, batch_id, HOLD, {}, paused=True)


def _release(db: Database, tenant: str, batch_id: uuid.UUID) -> int:
    with db.transaction() as session:
        shifts = session.execute(SHIFTS, {"batch": batch_id}).all()
        named = {"now": session.execute(select(db.now())).scalar_one(), "capped": is_capped(session, tenant=tenant)}
    return sum(
        _in_chunks(db, batch_id, RELEASE, {**named, "lane": row.lane, "later": row.later, "turn_later": row.turn_later}, paused=False)
        for row in shifts
    )


def _in_chunks(db: Database, batch_id: uuid.UUID, statement: TextClause, named: dict[str, Any], *, paused: bool) -> int:
    """Each chunk in a transaction of its own, so that claims of the batch's other rows go on. Stops when the batch was turned round."""
    done, after = 0, {"row": -1, "id": uuid.UUID(int=0)}
    while True:
        with db.transaction() as session:
            # Before any mark is read: see QueueMark.
            session.execute(WITH_ID)
            if _is_paused(session, batch_id) is not paused:
                return done
            last = session.execute(statement, {**named, **after, "batch": batch_id, "chunk": CHUNK}).first()
        if last is None:
            return done
        done += last.jobs
        if last.jobs < CHUNK:
            return done
        after = {"row": last.row_no, "id": last.id}


def _is_paused(session: Session, batch_id: uuid.UUID) -> bool:
    """Nobody pauses, resumes or ends the batch before this transaction is through."""
    moment: datetime | None = session.scalar(select(Batch.paused_at).where(Batch.id == batch_id).with_for_update(read=True))
    return moment is not None


def _log(session: Session, now: ColumnElement[Any], action: AuditAction, tenant: str, batch_id: uuid.UUID, actor: Actor) -> None:
    log_event(session, now=now, tenant=tenant, actor=actor, action=action, batch_id=batch_id)
