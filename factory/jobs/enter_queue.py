"""enter_queue: what every writer does that makes a job wait: no job may come to stand before a mark that claims start at."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Text, case, exists, func, literal, null, or_, select, text
from sqlalchemy.orm import Session

from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.queue_mark import QueueMark
from factory.domain.status import Hold

JOBS = Job.__table__
ANNOUNCE = text("SELECT CAST(pg_current_xact_id() AS text)")


def announce(session: Session) -> int:
    """Take a transaction id before any mark is read; returns it. A mark settles only after every transaction has ended that was
    announced before it was raised (raise_marks), so what this one writes by an older mark is still seen in time."""
    return int(session.scalars(ANNOUNCE).one())


def lifted(lane: Any = JOBS.c.lane) -> dict[str, ColumnElement[Any]]:
    """`vft` and `turn` of jobs that wait from now on, for an UPDATE of jobs after `announce`. `lane`: where they will wait."""
    of_lane = select(func.max(QueueMark.low)).where(QueueMark.lane == lane, QueueMark.tenant == "")
    either = or_(QueueMark.checkpoint == "", QueueMark.checkpoint == JOBS.c.checkpoint)
    of_tenant = select(func.max(QueueMark.low)).where(
        QueueMark.lane == lane, QueueMark.checkpoint == JOBS.c.checkpoint, QueueMark.tenant == JOBS.c.tenant
    )
    # GREATEST leaves out what is NULL: without a mark nothing is lifted.
    return {
        "vft": func.greatest(JOBS.c.vft, of_lane.where(either).correlate(JOBS).scalar_subquery()),
        "turn": func.greatest(JOBS.c.turn, of_tenant.correlate(JOBS).scalar_subquery()),
    }


def waits_again() -> dict[str, ColumnElement[Any]]:
    """What change_status writes of a job that comes back, after `announce`. A pause holds what was in work when it began, too."""
    paused = exists().where(Batch.id == JOBS.c.batch_id, Batch.paused_at.is_not(None)).correlate(JOBS)
    return {**lifted(), "hold": case((paused, literal(Hold.PAUSED.value, Text)), else_=null())}
