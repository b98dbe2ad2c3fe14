"""place_in_line: how many wait before a job, and how long that takes. From the partial indexes, never more than COUNTED rows of a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.orm import Session

from factory.domain.job import Job
from factory.domain.status import Hold, Lane
from factory.jobs.lanes import COUNTED

WAITING = "status = 'queued' AND hold IS NULL AND lane = :lane"
# The places in the line belong to the tenant, and its users take turns: the nth by turn gets the nth place.
PLACE = text(f"""
WITH line AS MATERIALIZED (
  SELECT id, vft, turn FROM jobs WHERE {WAITING} AND tenant = :tenant AND checkpoint = :checkpoint AND turn >= coalesce(
    (SELECT settled FROM queue_marks WHERE lane = :lane AND checkpoint = :checkpoint AND tenant = :tenant), '-infinity')
  ORDER BY turn, id LIMIT :most
), by_turn AS (SELECT id, row_number() OVER (ORDER BY turn, id) AS nth FROM line
), by_vft AS (SELECT vft, row_number() OVER (ORDER BY vft, id) AS nth FROM line
)
SELECT by_vft.vft FROM by_turn JOIN by_vft USING (nth) WHERE by_turn.id = :id
""")  # noqa: S608 - put together from our own constant
AHEAD = text(f"""
SELECT count(*) AS jobs, count(*) FILTER (WHERE tenant = :tenant) AS own, coalesce(sum(cost), 0) AS seconds,
       coalesce(sum(cost) FILTER (WHERE checkpoint = :checkpoint), 0) AS alike
FROM (
  SELECT tenant, checkpoint, cost FROM jobs WHERE {WAITING} AND vft < :vft AND vft >= coalesce(
    (SELECT settled FROM queue_marks WHERE lane = :lane AND checkpoint = '' AND tenant = ''), '-infinity')
  ORDER BY vft, id LIMIT :most
) AS ahead
""")  # noqa: S608 - as above
LANE = text(
    f"SELECT count(*), coalesce(sum(cost), 0) FROM (SELECT cost FROM jobs WHERE {WAITING} LIMIT :most) AS others"  # noqa: S608 - as above
)
HELD_BEFORE = text(
    "SELECT count(*) FROM (SELECT 1 FROM jobs WHERE hold = :hold AND tenant = :tenant AND lane = :lane AND (turn, id) < (:turn, :id)"
    " LIMIT :most) AS before"
)


@dataclass(frozen=True)
class Place:
    """`ahead` jobs go first (with `more`, at least), `own` of them the tenant's. `seconds` of GPU time, `alike`: its checkpoint's."""

    ahead: int
    own: int
    seconds: float
    alike: float
    more: bool = False


def place_in_line(session: Session, job: Job, *, earlier: Sequence[Lane] = ()) -> Place:
    """Of a job that waits. All of the `earlier` lanes go first."""
    named: dict[str, Any] = {"lane": job.lane, "tenant": job.tenant, "checkpoint": job.checkpoint, "most": COUNTED + 1}
    slot = session.execute(PLACE, {**named, "id": job.id}).scalar()
    row = session.execute(AHEAD, {**named, "vft": job.vft if slot is None else slot}).one()
    before = [lane_load(session, lane) for lane in earlier]
    jobs = row.jobs + sum(count for count, _ in before)
    seconds = float(row.seconds) + sum(cost for _, cost in before)
    return Place(min(jobs, COUNTED), min(row.own, COUNTED), seconds, float(row.alike), more=slot is None or jobs > COUNTED)


def lane_load(session: Session, lane: Lane) -> tuple[int, float]:
    """How many wait in a lane, and their GPU seconds, both of COUNTED + 1 at most."""
    count, seconds = session.execute(LANE, {"lane": lane.value, "most": COUNTED + 1}).one()
    return count, float(seconds)


def held_before(session: Session, job: Job) -> int:
    """How many of the tenant's lane a cap lets go first, at most COUNTED."""
    named = {"hold": Hold.CAPPED.value, "tenant": job.tenant, "lane": job.lane, "turn": job.turn, "id": job.id, "most": COUNTED}
    return int(session.execute(HELD_BEFORE, named).scalar_one())
