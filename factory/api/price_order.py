"""price_order: what an order would cost and when it would be done, as clients read it. Nothing is ordered."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from factory.api.represent import plain
from factory.db import Database
from factory.jobs.batch_order import BatchOrder
from factory.jobs.check_times import check_times
from factory.jobs.opening_hours import opening_hours
from factory.jobs.prepare_batch import PreparedBatch
from factory.jobs.quote import Quote, quote_order
from factory.settings import Settings

COUNTED = ("images", "to_draw", "duplicates", "reused", "rows_blocked", "blocked", "workers")


def price_order(
    db: Database, settings: Settings, *, tenant: str, order: BatchOrder, prepared: PreparedBatch, max_queued: int
) -> dict[str, Any]:
    """`prepared` are the rows that the order would take. `deadline_kept` is None where nothing can be said of it.
    Raises Invalid as ordering it would: for an end before the beginning."""
    check_times(order)
    hours = opening_hours(settings.offpeak_windows, settings.timezone)
    found = quote_order(db, tenant=tenant, order=order, prepared=prepared, max_queued=max_queued, opens_at=hours)
    return {
        **_counts(found),
        "cost": round(found.gpu_seconds / 3600 * settings.cny_per_gpu_hour, 2),
        "currency": "CNY",
        "per_gpu_hour": settings.cny_per_gpu_hour,
        "deadline": plain(order.deadline),
        "deadline_kept": found.keeps(order.deadline),
    }


def _counts(found: Quote) -> dict[str, Any]:
    finish = {name: plain(moment) for name, moment in asdict(found.finish).items()} if found.finish else None
    return {
        "object": "quote",
        **{name: getattr(found, name) for name in COUNTED},
        "gpu_seconds": round(found.gpu_seconds, 3),
        "gpu_seconds_saved": round(found.gpu_seconds_saved, 3),
        "queue_room": found.room,
        "finish": finish,
        "finish_unknown": found.unknown,
    }
