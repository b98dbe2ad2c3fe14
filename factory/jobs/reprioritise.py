"""reprioritise: what waits becomes more urgent or less. What runs goes on as it is."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Integer, case, cast, func, null, select, text, update
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.queue_mark import QueueMark
from factory.domain.status import JobStatus, Priority
from factory.domain.unread_order import UnreadOrder
from factory.jobs.chunks import JOBS, After, change_rows, in_chunks, next_rows
from factory.jobs.enter_queue import announce
from factory.jobs.log_event import log_event
from factory.jobs.shares import Kind, count_kinds, lock_line, places
from factory.jobs.take_turns import lock_turns

Where = list[ColumnElement[bool]]
SIDES = tuple(cast(Job.spec[side].astext, Integer).label(side) for side in ("width", "height"))
MOVE = text("""
UPDATE jobs SET priority = :priority, lane = :lane, ready_at = :now, vft = tag.vft, turn = tag.turn, cost = tag.cost
FROM unnest(CAST(:ids AS uuid[]), CAST(:vft AS float8[]), CAST(:turn AS float8[]), CAST(:cost AS float8[])) AS tag (id, vft, turn, cost)
WHERE jobs.id = tag.id
""")


def reprioritise_batch(db: Database, *, tenant: str, batch_id: uuid.UUID, priority: Priority, actor: Actor) -> int:
    """Returns how many rows changed. Rows that fail to change because a process died change when it is asked for again."""
    now = db.now()
    mine = [Batch.tenant == tenant, Batch.id == batch_id]
    with db.transaction() as session:
        batch = session.scalars(select(Batch).where(*mine, Batch.ended_at.is_(None)).with_for_update(key_share=True)).first()
        if batch is None:
            return 0
        if batch.unread:
            session.execute(update(UnreadOrder).where(UnreadOrder.batch_id == batch_id).values(priority=priority.value))
        if batch.priority != priority or _groups(session, [JOBS.c.batch_id == batch_id], priority):
            detail = {"was": batch.priority, "priority": priority.value}
            _log(session, now, tenant, actor, batch_id, detail)
            session.execute(update(Batch).where(*mine).values(priority=priority.value))
    return _move(db, tenant, [JOBS.c.batch_id == batch_id], priority)


def reprioritise_job(db: Database, *, tenant: str, job_id: uuid.UUID, priority: Priority, actor: Actor) -> int:
    """1, or 0 when the job does not wait or has that priority already."""
    mine = [JOBS.c.tenant == tenant, JOBS.c.id == job_id]
    with db.transaction() as session:
        for group in _groups(session, mine, priority):
            batch_id = session.scalar(select(JOBS.c.batch_id).where(*mine))
            _log(session, db.now(), tenant, actor, batch_id, {"was": group.priority, "priority": priority.value}, job_id)
    return _move(db, tenant, mine, priority)


def _groups(session: Session, where: Where, priority: Priority) -> Sequence[Any]:
    """The priorities that waiting rows have now, where they differ from the wanted one."""
    return session.execute(select(JOBS.c.lane, JOBS.c.priority).where(*_waiting(where, priority)).distinct()).all()


def _waiting(where: Where, priority: Priority) -> Where:
    return [*where, JOBS.c.status == JobStatus.QUEUED.value, JOBS.c.priority != priority.value]


def _move(db: Database, tenant: str, where: Where, priority: Priority) -> int:
    with db.transaction() as session:
        groups = _groups(session, where, priority)
    done = 0
    for lane, was in groups:
        mine = [*_waiting(where, priority), JOBS.c.lane == lane, JOBS.c.priority == was]
        if lane == priority.lane.value:
            done += _stretch(db, tenant, mine, Priority(was), priority)
        else:
            done += _change_lane(db, tenant, mine, priority)
    return done


def _stretch(db: Database, tenant: str, where: Where, was: Priority, priority: Priority) -> int:
    """In the same lane: seen from what is served now, everything comes nearer or goes farther away, as the weights say."""
    ratio = was.weight / priority.weight
    served = func.coalesce(_low(QueueMark.checkpoint.in_(["", JOBS.c.checkpoint]), QueueMark.tenant == ""), 0.0)
    turns = func.coalesce(_low(QueueMark.checkpoint == JOBS.c.checkpoint, QueueMark.tenant == JOBS.c.tenant), served)
    values = {
        "priority": priority.value,
        "vft": func.greatest(served + (JOBS.c.vft - served) * ratio, _if_offered(served)),
        "turn": func.greatest(turns + (JOBS.c.turn - turns) * ratio, _if_offered(turns)),
    }

    def step(session: Session, after: After) -> tuple[int, After]:
        announce(session)
        lock_turns(session, tenant)
        return change_rows(session, where, after, values)

    return in_chunks(db, step)


def _change_lane(db: Database, tenant: str, where: Where, priority: Priority) -> int:
    """In another lane they stand behind what the tenant has there, as if ordered now."""

    def step(session: Session, after: After) -> tuple[int, After]:
        lock_line(session, tenant, priority.lane)
        lock_turns(session, tenant)
        rows = session.execute(next_rows(where, after, JOBS.c.end_user, JOBS.c.checkpoint, *SIDES)).all()
        if not rows:
            return 0, after
        kinds = [Kind(priority, row.end_user or "", row.checkpoint, row.width * row.height) for row in rows]
        with places(session, tenant, count_kinds(kinds), long=False) as tags:
            found = [tags.next(kind) for kind in kinds]
        named = {"priority": priority.value, "lane": priority.lane.value, "now": session.execute(select(db.now())).scalar_one()}
        columns = {name: [getattr(tag, name) for tag in found] for name in ("vft", "turn", "cost")}
        session.execute(MOVE, {**named, **columns, "ids": [row.id for row in rows]})
        return len(rows), (rows[-1].row_no, rows[-1].id)

    return in_chunks(db, step)


def _low(*where: ColumnElement[bool]) -> ColumnElement[Any]:
    return select(func.max(QueueMark.low)).where(QueueMark.lane == JOBS.c.lane, *where).correlate(JOBS).scalar_subquery()


def _if_offered(low: ColumnElement[Any]) -> ColumnElement[Any]:
    """What waits stands before no mark (QueueMark); what is held is lifted when it is let go."""
    return case((JOBS.c.hold.is_(None), low), else_=null())


def _log(
    session: Session,
    now: ColumnElement[Any],
    tenant: str,
    actor: Actor,
    batch_id: uuid.UUID | None,
    detail: dict[str, Any],
    job_id: uuid.UUID | None = None,
) -> None:
    action = AuditAction.JOB_REPRIORITISED if job_id else AuditAction.BATCH_REPRIORITISED
    log_event(session, now=now, tenant=tenant, actor=actor, action=action, batch_id=batch_id, job_id=job_id, detail=detail)
