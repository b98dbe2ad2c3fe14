"""reasons: why a job waits, in words, and what would change it. Nothing is asked here: `Around` holds all that is needed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from factory.domain.job import Job
from factory.domain.lane_state import LaneState
from factory.domain.status import Hold, JobStatus, Lane
from factory.domain.worker_presence import WorkerPresence
from factory.jobs.claim_lists import AVOIDED_SECONDS, JOIN_ROWS, JOIN_SECONDS, MIN_RUN, OVERDUE_SECONDS
from factory.jobs.place_in_line import Place


@dataclass(frozen=True)
class Reason:
    """`code` is stable and for programs. `change` is what would make it wait less, where anything would."""

    code: str
    message: str
    change: str | None = None


@dataclass(frozen=True)
class Around:
    """What is around a job that waits. `workers` are those alive, `opens_at` is set while its lane is outside its window,
    `interactive` is how many wait in that lane."""

    now: datetime
    workers: tuple[WorkerPresence, ...]
    silence: timedelta
    paused: LaneState | None = None
    opens_at: datetime | None = None
    place: Place | None = None
    interactive: int = 0

    def holders(self, checkpoint: str) -> list[str]:
        return [worker.name for worker in self.workers if checkpoint in worker.resident]


def of_ended(job: Job) -> Reason:
    at = f" at {_moment(job.finished_at)}" if job.finished_at else ""
    why = f": {job.error['detail']}" if job.error and "detail" in job.error else ""
    change = "an operator gives it another chance with `factory jobs replay`" if job.dead_lettered_at else None
    if change is None and job.status in {JobStatus.FAILED, JobStatus.CANCELED, JobStatus.EXPIRED}:
        change = "order it again"
    return Reason("ended", f"it is {job.status}{at} and waits for nothing{why}", change)


def of_running(job: Job) -> Reason:
    since = f" since {_moment(job.started_at)}" if job.started_at else ""
    return Reason("running", f"worker {job.worker} has it{since}, phase {job.phase}, attempt {job.attempt}")


def of_waiting(job: Job, around: Around) -> Iterator[Reason]:
    """Everything that keeps it, what weighs most first."""
    if job.expires_at is not None and job.expires_at <= around.now:
        yield Reason("expired", f"nobody drew it before {_moment(job.expires_at)}: it ends within seconds", "order it again")
    if around.paused is not None:
        since = f" since {_moment(around.paused.paused_at)}" if around.paused.paused_at else ""
        yield Reason(
            "lane_paused", f"operators have paused the lane {job.lane}{since}", f"an operator runs `factory queue resume {job.lane}`"
        )
    if around.opens_at is not None:
        change = f"order it as bulk: that lane is open; or wait until {_moment(around.opens_at)}"
        yield Reason("outside_window", f"off-peak orders are drawn in their hours only, next from {_moment(around.opens_at)}", change)
    yield from _of_backoff(job, around)
    yield from _of_workers(job, around)
    yield from _of_place(job, around)


def _of_backoff(job: Job, around: Around) -> Iterator[Reason]:
    if not job.attempt or job.hold == Hold.SCHEDULED or job.not_before is None:
        return  # before its first attempt `not_before` is what the order said
    if job.not_before > around.now:
        code = f" ({job.error['code']})" if job.error and "code" in job.error else ""
        yield Reason("backoff", f"attempt {job.attempt} did not succeed{code}; the next one begins after {_moment(job.not_before)}")
    until = job.not_before + timedelta(seconds=AVOIDED_SECONDS)
    if job.avoid_worker is not None and until > around.now:
        message = f"worker {job.avoid_worker} could not hold it and leaves it to the others until {_moment(until)}"
        others = [worker.name for worker in around.workers if worker.name != job.avoid_worker]
        yield Reason("worker_avoided", message, None if others else "a second worker would take it at once")


def _of_workers(job: Job, around: Around) -> Iterator[Reason]:
    if not around.workers:
        message = f"no GPU worker has been heard of for {around.silence.total_seconds():g} s"
        yield Reason("no_worker", message, "an operator starts one with `factory worker`")
        return
    if around.holders(job.checkpoint):
        return
    held = sorted({name for worker in around.workers for name in worker.resident})
    change = f"ordered from {' or '.join(held[:3])}, which is loaded, it would not wait for a load" if held else None
    if job.lane == Lane.INTERACTIVE:
        message = (
            f"no worker has {job.checkpoint} loaded; one whose disk has it loads it when its own interactive jobs are done,"
            " or when this waited a load's time"
        )
    else:
        run = max(worker.since_swap for worker in around.workers)
        waited = max(0, round((around.now - job.ready_at).total_seconds()))
        message = (
            f"no worker has {job.checkpoint} loaded; one whose disk has it loads it when it has nothing else to do (at once for an order's"
            f" first row, or where {JOIN_ROWS} wait; for others after {JOIN_SECONDS} s), or after {MIN_RUN}"
            f" pictures since its last swap (now {run}) once this waited {OVERDUE_SECONDS} s (now {waited})"
        )
    yield Reason("checkpoint_not_loaded", message, change)


def _of_place(job: Job, around: Around) -> Iterator[Reason]:
    place = around.place
    if place is None:
        return
    if not place.ahead and not place.more:
        yield Reason("next", f"nothing goes before it in the lane {job.lane}: the next worker that is free and may draw it takes it")
        return
    own = f", {place.own} of them your own" if place.own else ""
    count = f"{'more than ' if place.more else ''}{place.ahead}"
    yield Reason("in_line", f"{count} jobs go before it{own}", _sooner(job, around, place))


def _sooner(job: Job, around: Around, place: Place) -> str | None:
    if job.lane != Lane.INTERACTIVE:
        first = f"after {around.interactive} others" if around.interactive else "next"
        return f"as interactive it would be {first}" if place.more or around.interactive < place.ahead else None
    return f"more workers, or a greater weight: an operator runs `factory queue allow {job.tenant} --weight …`"


def _moment(at: datetime | None) -> str:
    return at.isoformat(timespec="seconds") if at else "–"
