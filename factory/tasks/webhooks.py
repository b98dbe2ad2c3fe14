"""Tasks of webhooks: events become deliveries, deliveries are sent, old ones are forgotten."""

from __future__ import annotations

from functools import lru_cache

from factory.bootstrap import build_database, build_mailroom
from factory.db import Database
from factory.jobs.compose_message import Mailroom
from factory.jobs.deliver_webhooks import deliver_webhooks
from factory.jobs.forget_deliveries import forget_deliveries
from factory.jobs.plan_deliveries import plan_deliveries
from factory.settings import load_settings
from factory.tasks.alone import alone
from factory.tasks.celery_app import app

MOST_CHUNKS = 20
SECONDS = 10.0


@lru_cache
def database() -> Database:
    return build_database(load_settings(), pool_size=4)


@lru_cache
def mailroom() -> Mailroom:
    return build_mailroom(load_settings())


@app.task(name="factory.webhooks.tick")
def tick() -> dict[str, int]:
    """Every few seconds. On one machine only one at a time: slow receivers must not keep every child from upkeep."""
    settings = load_settings()
    with alone(settings.data_dir / "webhooks.lock") as is_alone:
        if not is_alone:
            return {"busy": 1}
        events = planned = 0
        for _ in range(MOST_CHUNKS):
            chunk = plan_deliveries(database(), public_url=settings.public_url)
            events, planned = events + chunk.events, planned + chunk.deliveries
            if not chunk.more:
                break
        sent = deliver_webhooks(database(), mailroom(), seconds=SECONDS)
    return {"events": events, "planned": planned, "attempts": sent.attempts, "delivered": sent.delivered}


@app.task(name="factory.webhooks.forget")
def forget() -> dict[str, int]:
    """Deliveries of a month ago."""
    return {"deliveries": forget_deliveries(database())}
