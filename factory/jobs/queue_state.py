"""queue_state: the queue as operators see it: lanes, what is in work, and which workers are alive with what loaded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import func, select

from factory.db import Database
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.domain.worker_presence import WorkerPresence
from factory.jobs.lanes import LaneView, lane_states
from factory.jobs.worker_presence import workers_alive

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
        running = session.scalar(select(func.count()).select_from(Job).where(Job.status == JobStatus.RUNNING.value)) or 0
        return QueueState(lanes, running, tuple(workers_alive(session, db.now(), within=silence)))
