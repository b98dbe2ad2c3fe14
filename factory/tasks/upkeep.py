"""Periodic tasks: lost jobs wait again, expired ones end, waiting work is rung for, orphans are swept."""

from __future__ import annotations

from datetime import timedelta
from functools import lru_cache

from factory.bootstrap import build_database, build_storage
from factory.db import Database
from factory.jobs.answer_once import forget_old_keys
from factory.jobs.count_waiting import count_waiting
from factory.jobs.expire_jobs import expire_jobs
from factory.jobs.requeue_lost_jobs import requeue_lost_jobs
from factory.jobs.sweep_objects import sweep_objects
from factory.settings import load_settings
from factory.tasks.celery_app import app
from factory.tasks.ring import BELL


@lru_cache
def database() -> Database:
    return build_database(load_settings(), pool_size=2)


@app.task(name="factory.upkeep.tick")
def tick() -> dict[str, int]:
    """Every few seconds. Each part is safe to repeat and safe to run twice at once."""
    requeued = requeue_lost_jobs(database(), max_lost_leases=load_settings().max_lost_leases)
    expired = expire_jobs(database())
    waiting = count_waiting(database()).queued
    if waiting:
        BELL.ring_now(waiting)
    return {"requeued": requeued.requeued, "dead_lettered": requeued.dead_lettered, "expired": expired, "waiting": waiting}


@app.task(name="factory.upkeep.sweep")
def sweep() -> dict[str, int]:
    """Objects that no asset names, and answers to orders of yesterday."""
    settings = load_settings()
    forgotten = forget_old_keys(database())
    swept = sweep_objects(database(), build_storage(settings), older_than=timedelta(seconds=settings.sweep_after_seconds))
    return {"objects": swept, "idempotency_keys": forgotten}
