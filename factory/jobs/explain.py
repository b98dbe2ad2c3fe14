"""explain: why a job waits, how many go before it, when it may begin, and what would change that. Cheap enough to ask at any time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import DateTime, literal, select
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.job import Job
from factory.domain.status import TERMINAL, JobStatus, Lane
from factory.jobs.claim_lists import OVERDUE_SECONDS
from factory.jobs.find_jobs import job_in
from factory.jobs.hold_reasons import of_hold
from factory.jobs.lanes import paused_lanes
from factory.jobs.opening_hours import OpensAt, always_open
from factory.jobs.place_in_line import lane_load, place_in_line
from factory.jobs.queue_state import SILENCE
from factory.jobs.reasons import Around, Reason, of_ended, of_running, of_waiting
from factory.jobs.worker_presence import workers_alive

LOAD_SECONDS = 10.0  # a checkpoint from a disk, on a common card


@dataclass(frozen=True)
class Explanation:
    """`position` counts from 1; with `more` it is at least that. `seconds`: in how many it may begin, None while nobody can say."""

    job: Job
    reasons: tuple[Reason, ...]
    position: int | None = None
    more: bool = False
    seconds: tuple[int, int] | None = None


def explain(db: Database, *, tenant: str, name: str, silence: timedelta = SILENCE, opens_at: OpensAt = always_open) -> Explanation:
    """By id or by the client's own id; a worker that was not heard of for `silence` counts as gone. Raises NotFound."""
    with db.transaction() as session:
        job = job_in(session, tenant=tenant, name=name).job
        if job.status in TERMINAL:
            return Explanation(job, (of_ended(job),))
        if job.status == JobStatus.RUNNING:
            return Explanation(job, (of_running(job),))
        moment = session.execute(select(db.now())).scalar_one()
        around = _around(session, job, moment, silence, opens_at)
        reasons = (*of_hold(session, job, moment), *of_waiting(job, around))
    place = around.place
    if place is None:
        return Explanation(job, reasons)
    return Explanation(job, reasons, place.ahead + 1, place.more, begins_within(job, around))


def _around(session: Session, job: Job, moment: datetime, silence: timedelta, opens_at: OpensAt) -> Around:
    paused, lane = paused_lanes(session), Lane(job.lane)
    earlier = [one for one in list(Lane)[: list(Lane).index(lane)] if one.value not in paused]
    return Around(
        now=moment,
        workers=tuple(workers_alive(session, literal(moment, DateTime(timezone=True)), within=silence)),
        silence=silence,
        paused=paused.get(job.lane),
        opens_at=opens_at(lane, moment),
        place=None if job.hold else place_in_line(session, job, earlier=earlier),
        interactive=lane_load(session, Lane.INTERACTIVE)[0],
    )


def begins_within(job: Job, around: Around) -> tuple[int, int] | None:
    """From only its own checkpoint's line before it to everything before it, a load, and the patience that a load asks for."""
    place, workers = around.place, len(around.workers)
    if place is None or place.more or not workers or around.paused is not None:
        return None
    starts = [at for at in (around.opens_at, job.not_before) if at is not None and at > around.now]
    delay = (max(starts) - around.now).total_seconds() if starts else 0.0
    most = place.seconds / workers + job.cost
    if not around.holders(job.checkpoint):
        waited = (around.now - job.ready_at).total_seconds()
        most += LOAD_SECONDS + (0.0 if job.lane == Lane.INTERACTIVE else max(0.0, OVERDUE_SECONDS - waited))
    return round(delay + place.alike / workers), round(delay + most)
