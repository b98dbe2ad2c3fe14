"""Periodic tasks: lost jobs wait again, expired ones end, waiting work is rung for, orphans are swept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from factory.bootstrap import build_database, build_storage
from factory.db import Database
from factory.jobs.answer_once import forget_old_keys
from factory.jobs.count_waiting import count_waiting
from factory.jobs.end_batches import end_batches
from factory.jobs.expire_assets import expire_assets
from factory.jobs.expire_jobs import expire_jobs
from factory.jobs.learn_speeds import learn_speeds
from factory.jobs.opening_hours import closed_now
from factory.jobs.pause_batch import converge_pauses
from factory.jobs.raise_marks import raise_marks
from factory.jobs.release_held import release_held
from factory.jobs.requeue_lost_jobs import requeue_lost_jobs
from factory.jobs.settle_twins import RECENT, settle_every_twin
from factory.jobs.sweep_objects import sweep_objects
from factory.jobs.worker_presence import forget_silent_workers
from factory.logs import get_logger
from factory.settings import load_settings
from factory.tasks.celery_app import UPKEEP_SECONDS, app
from factory.tasks.ring import BELL

log = get_logger(__name__)
TENANT_MARKS = 6  # ticks


@lru_cache
def database() -> Database:
    return build_database(load_settings(), pool_size=2)


@app.task(name="factory.upkeep.tick")
def tick() -> dict[str, int]:
    """Every few seconds. Each part is safe to repeat and safe to run twice at once."""
    db, settings = database(), load_settings()

    def release() -> int:
        released = release_held(db, closed=closed_now(settings.offpeak_windows, settings.timezone))
        return released.due + released.capped

    def ring() -> int:
        if waiting := count_waiting(db).queued:
            BELL.ring_now(waiting)
        return waiting

    return each_by_itself(
        {
            "requeued": lambda: requeue_lost_jobs(db, max_lost_leases=settings.max_lost_leases).requeued,
            "expired": lambda: expire_jobs(db),
            "paused": lambda: converge_pauses(db).held,
            "reused": lambda: settle_every_twin(db, recent=RECENT).delivered,
            "released": release,
            "marks": lambda: int(raise_marks(db, tenants=_is_every(TENANT_MARKS), forget=False)),
            "batches_ended": lambda: end_batches(db),
            "waiting": ring,
        }
    )


def each_by_itself(parts: Mapping[str, Callable[[], int]]) -> dict[str, int]:
    """A part that fails keeps none of the others from its work. Raises the first fault when all are through."""
    done, faults = dict[str, int](), list[Exception]()
    for name, part in parts.items():
        try:
            done[name] = part()
        except Exception as fault:
            log.exception("upkeep failed", part=name)
            faults.append(fault)
    if faults:
        raise faults[0]
    return done


def _is_every(ticks: int) -> bool:
    """Whether this is such a tick, by the time: whichever process runs it knows the same."""
    return int(datetime.now(UTC).timestamp() / UPKEEP_SECONDS) % ticks == 0


@app.task(name="factory.upkeep.learn")
def learn() -> dict[str, int]:
    """Each minute: how long pictures take, which workers are gone, and what costs too much for a tick."""
    db = database()
    return each_by_itself(
        {
            "speeds": lambda: learn_speeds(db),
            "silent_workers": lambda: forget_silent_workers(db),
            "reused": lambda: settle_every_twin(db).delivered,
            "marks": lambda: int(raise_marks(db)),
        }
    )


@app.task(name="factory.upkeep.sweep")
def sweep() -> dict[str, int]:
    """Objects that no asset names, and answers to orders of yesterday."""
    settings = load_settings()
    storage = build_storage(settings)
    forgotten = forget_old_keys(database())
    retired = expire_assets(database(), storage)
    swept = sweep_objects(database(), storage, older_than=timedelta(seconds=settings.sweep_after_seconds))
    return {"objects": swept, "assets_expired": retired, "idempotency_keys": forgotten}
