"""queue_state: the queue as operators see it: lanes, what is in work, and which workers are alive with what loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.domain.worker_presence import WorkerPresence
from factory.jobs.lanes import LaneView, lane_states

SILENCE = timedelta(seconds=60)  # a worker that was not heard of for so long counts as gone


@dataclass(frozen=True)
class QueueState:
    """`paused` when no lane is open."""

    lanes: tuple[LaneView, ...]
    running: int
    workers: tuple[WorkerPresence, ...]

    @property
    def paused(self) -> bool:
        return all(view.paused_at is not None for view in self.lanes)


def queue_state(db: Database, *, silence: timedelta = SILENCE) -> QueueState:
    """From the partial indexes and one narrow table."""
    lanes = tuple(lane_states(db))
    with db.transaction() as session:
        moment = session.execute(select(db.now())).scalar_one()
        running = session.scalar(select(func.count()).select_from(Job).where(Job.status == JobStatus.RUNNING.value)) or 0
        return QueueState(lanes, running, tuple(live_workers(session, moment, silence)))


def live_workers(session: Session, moment: datetime, silence: timedelta) -> Sequence[WorkerPresence]:
    """By name."""
    return session.scalars(select(WorkerPresence).where(WorkerPresence.seen_at > moment - silence).order_by(WorkerPresence.name)).all()
