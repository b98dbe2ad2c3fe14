"""count_waiting: what stands in the queue now, for metrics, upkeep and the watchdog."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, text

from factory.db import Database


@dataclass(frozen=True)
class Waiting:
    """What stands in the queue now. `oldest_seconds`: how long the first of it could have been drawn."""

    queued: int
    running: int
    oldest_seconds: float


def count_waiting(db: Database) -> Waiting:
    """Counts from the partial indexes only; finished jobs are never counted."""
    statement = text(
        "SELECT (SELECT count(*) FROM jobs WHERE status = 'queued' AND hold IS NULL), (SELECT count(*) FROM jobs WHERE status = 'running'),"
        " (SELECT coalesce(extract(epoch FROM CAST(:now AS timestamptz) - min(ready_at)), 0) FROM jobs WHERE status = 'queued' AND hold IS NULL)"
    )
    with db.transaction() as session:
        queued, running, oldest = session.execute(statement, {"now": session.scalar(select(db.now()))}).one()
    return Waiting(queued, running, float(oldest))
