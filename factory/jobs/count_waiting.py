"""count_waiting: what stands in the queue now, for metrics and upkeep. It costs the same however much waits."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select, text

from factory.db import Database
from factory.domain.job import WAITING
from factory.domain.status import Lane

COUNTED = 100_000  # 40 ms at most; a queue that is watched as it empties is seldom longer
# A lane is counted from its mark on, as claims read it: what left long ago is not met.
HOW_MANY = text(f"""
SELECT (
  SELECT coalesce(sum(counts.waiting), 0) FROM unnest(CAST(:lanes AS text[])) AS l(lane) CROSS JOIN LATERAL (
    SELECT count(*) AS waiting FROM (
      SELECT FROM jobs WHERE {WAITING} AND jobs.lane = l.lane AND vft >= coalesce(
        (SELECT settled FROM queue_marks AS m WHERE m.lane = l.lane AND m.checkpoint = '' AND m.tenant = ''), '-infinity')
      LIMIT :most
    ) AS counted
  ) AS counts
), (SELECT count(*) FROM jobs WHERE status = 'running'),
(SELECT coalesce(extract(epoch FROM CAST(:now AS timestamptz) - min(ready_at)), 0) FROM jobs WHERE {WAITING})
""")  # noqa: S608 - put together from our own constant


@dataclass(frozen=True)
class Waiting:
    """What stands in the queue now. `queued`: of each lane up to COUNTED. `oldest_seconds`: how long the first of it, wherever it
    stands, could have been drawn."""

    queued: int
    running: int
    oldest_seconds: float


def count_waiting(db: Database) -> Waiting:
    """From the partial indexes only, a bounded part of them; finished jobs are never counted."""
    with db.transaction() as session:
        binds = {"lanes": [lane.value for lane in Lane], "most": COUNTED, "now": session.scalar(select(db.now()))}
        queued, running, oldest = session.execute(HOW_MANY, binds).one()
    return Waiting(int(queued), running, float(oldest))
