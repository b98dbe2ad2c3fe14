"""The task that reads received orders: their rows become jobs, and the workers are rung for."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import lru_cache

from factory.bootstrap import build_admission, build_database, build_rules
from factory.db import Database
from factory.intake.read_next_order import read_next_order
from factory.jobs.admit import Admission
from factory.settings import load_settings
from factory.tasks.alone import alone
from factory.tasks.celery_app import app
from factory.tasks.ring import BELL


@lru_cache
def database() -> Database:
    return build_database(load_settings(), pool_size=2)


@lru_cache
def admission() -> Callable[[], Admission]:
    settings = load_settings()
    return build_admission(settings, database(), build_rules(settings))


@app.task(name="factory.orders.read")
def read() -> dict[str, int]:
    """A shift of it, when rung for and every few seconds. Of the processes that share a data folder only one at a time: a large order must not
    keep every child from upkeep."""
    settings = load_settings()
    ends, orders, rows = time.monotonic() + settings.shift_seconds, 0, 0
    with alone(settings.data_dir / "orders.lock") as is_alone:
        while is_alone and time.monotonic() < ends and (ordered := read_next_order(database(), admission())) is not None:
            if ordered:
                BELL.ring_now(ordered)
            orders, rows = orders + 1, rows + ordered
    return {"orders": orders, "rows": rows}
