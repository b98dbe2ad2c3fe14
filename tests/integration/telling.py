"""Webhooks in tests: plan until nothing is left that could be planned."""

from __future__ import annotations

import time

from sqlalchemy import text

from factory.db import Database
from factory.jobs.plan_deliveries import plan_deliveries

PUBLIC = "https://factory.example.com"


def settle(db: Database) -> None:
    """Wait until every transaction of before has ended, a server's own included."""
    with db.transaction() as session:
        horizon = session.execute(text("SELECT pg_current_xact_id()::text::bigint")).scalar_one()
    end = time.monotonic() + 90
    while time.monotonic() < end:
        with db.transaction() as session:
            if session.execute(text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint")).scalar_one() > horizon:
                return
        time.sleep(0.02)
    raise TimeoutError("some transaction does not end")


def plan_all(db: Database, *, chunk: int = 1000) -> int:
    """How many deliveries were planned."""
    settle(db)
    planned = 0
    while True:
        found = plan_deliveries(db, public_url=PUBLIC, chunk=chunk)
        planned += found.deliveries
        if not found.more:
            return planned
