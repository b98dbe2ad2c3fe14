"""release_held: held jobs whose reason is gone wait for a worker: those whose time has come, and those that a cap has room for again.

Paused jobs wait for their batch, twins for their twin: others let those go. Safe to repeat, and safe to run twice at once.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.status import Lane
from factory.jobs.apply_caps import apply_caps, lock_caps
from factory.jobs.enter_queue import announce
from factory.jobs.lanes import paused_lanes

PAGE = 2000
PAGES = 25  # in one run, so that a tick stays short; the next one goes on
# As enter_queue.lifted says it: what waits never stands before a mark. GREATEST leaves out what is NULL.
MARKS = """greatest({vft}, (SELECT max(low) FROM queue_marks AS m
    WHERE m.lane = jobs.lane AND m.tenant = '' AND m.checkpoint IN ('', jobs.checkpoint))),
  turn = greatest(jobs.turn, (SELECT low FROM queue_marks AS m
    WHERE m.lane = jobs.lane AND m.checkpoint = jobs.checkpoint AND m.tenant = jobs.tenant))"""
DUE = text(f"""
WITH due AS (
  SELECT job.id, job.tenant, CASE WHEN batches.paused_at IS NOT NULL THEN 'paused' WHEN caps.tenant IS NOT NULL THEN 'capped' END AS hold
  FROM jobs AS job LEFT JOIN batches ON batches.id = job.batch_id
  LEFT JOIN (SELECT DISTINCT tenant FROM allowances WHERE max_running IS NOT NULL) AS caps ON caps.tenant = job.tenant
  WHERE job.hold = 'scheduled' AND job.not_before <= :now ORDER BY job.not_before LIMIT :page FOR UPDATE OF job SKIP LOCKED
)
UPDATE jobs SET hold = due.hold, ready_at = :now, vft = {MARKS.format(vft="jobs.vft")}
FROM due WHERE jobs.id = due.id RETURNING due.hold
""")  # noqa: S608 - put together from our own constants
TENANTS = text("""
WITH RECURSIVE capped AS (
  (SELECT tenant FROM jobs WHERE hold = 'capped' ORDER BY tenant LIMIT 1)
  UNION ALL
  SELECT (SELECT tenant FROM jobs WHERE hold = 'capped' AND tenant > capped.tenant ORDER BY tenant LIMIT 1) FROM capped
  WHERE capped.tenant IS NOT NULL
)
SELECT tenant FROM capped WHERE tenant IS NOT NULL
""")
ROOM = text("""
WITH used AS (
  SELECT member, sum(n) AS n FROM (
    SELECT coalesce(end_user, '') AS member, count(*) AS n FROM jobs
    WHERE tenant = :tenant AND status = 'queued' AND hold IS NULL GROUP BY 1
    UNION ALL
    SELECT coalesce(end_user, ''), count(*) FROM jobs WHERE tenant = :tenant AND status = 'running' GROUP BY 1
  ) AS counted GROUP BY 1
)
SELECT (SELECT max_running FROM allowances WHERE tenant = :tenant AND member = '') - coalesce((SELECT sum(n) FROM used), 0) AS room,
       (SELECT jsonb_object_agg(member, max_running - coalesce((SELECT n FROM used WHERE used.member = allowances.member), 0))
        FROM allowances WHERE tenant = :tenant AND member <> '' AND max_running IS NOT NULL) AS users
""")
# Tagged as start-time fair queueing tags what comes to the head of its flow: behind what the tenant has waiting already.
LET_GO = text(f"""
WITH candidates AS (
  SELECT id, turn, cost, priority, coalesce(end_user, '') AS member FROM jobs AS job
  WHERE hold = 'capped' AND tenant = :tenant AND lane = :lane AND coalesce(end_user, '') <> ALL(CAST(:full AS text[]))
    AND NOT EXISTS (SELECT 1 FROM batches WHERE batches.id = job.batch_id AND batches.paused_at IS NOT NULL)
  ORDER BY turn, id LIMIT :room FOR UPDATE SKIP LOCKED
), picked AS (
  SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY member ORDER BY turn, id) AS nth FROM candidates) AS ranked
  WHERE nth <= coalesce(CAST(CAST(:users AS jsonb) ->> member AS bigint), nth)
), start AS (
  SELECT greatest(
    (SELECT max(vft) FROM jobs WHERE tenant = :tenant AND lane = :lane AND status = 'queued' AND hold IS NULL),
    (SELECT low FROM queue_marks WHERE lane = :lane AND checkpoint = '' AND tenant = '')) AS tag,
    coalesce((SELECT weight FROM allowances WHERE tenant = :tenant AND member = ''), 1) AS weight
), tagged AS (
  SELECT id, start.tag + sum(cost / (start.weight * CASE priority WHEN 'standard' THEN 4 ELSE 1 END)) OVER (ORDER BY turn, id) AS vft
  FROM picked CROSS JOIN start
)
UPDATE jobs SET hold = NULL, ready_at = :now, vft = {MARKS.format(vft="least(jobs.vft, tagged.vft)")}
FROM tagged WHERE jobs.id = tagged.id RETURNING 1
""")  # noqa: S608 - as above
CAPPED = text("SELECT DISTINCT tenant FROM allowances WHERE max_running IS NOT NULL")
# Of a tenant without a cap of its own only those users' rows who have one: the others take nobody's place.
PULL_BACK = text("""
UPDATE jobs SET hold = 'capped', ready_at = :now WHERE id IN (
  SELECT id FROM jobs WHERE tenant = :tenant AND status = 'queued' AND hold IS NULL AND lane = ANY(CAST(:shut AS text[]))
    AND (CAST(:whole AS boolean) OR end_user = ANY(CAST(:members AS text[])))
  ORDER BY id FOR UPDATE SKIP LOCKED
)
""")


@dataclass(frozen=True)
class Released:
    """How many came due (some of them into the line of a cap or a pause), and how many a cap let go."""

    due: int
    capped: int


def release_held(db: Database, *, closed: Collection[Lane] = ()) -> Released:
    """`closed` lanes are outside their window: like paused ones they get no place under a cap, so that they block no other.

    What an order wrote that did not see its tenant's first cap yet is held here.
    """
    due = 0
    for _ in range(PAGES):
        with db.transaction() as session:
            count = len(session.execute(DUE, {"now": _moment(session, db.now()), "page": PAGE}).all())
        due += count
        if count < PAGE:
            break
    with db.transaction() as session:
        waiting = set(session.scalars(TENANTS))
        tenants = waiting.union(session.scalars(CAPPED))
    capped = 0
    for tenant in sorted(tenants):
        with db.transaction() as session:
            if not lock_caps(session, tenant, wait=False):
                continue
            apply_caps(session, db.now(), tenant=tenant)
            if tenant in waiting:
                capped += release_capped(session, db.now(), tenant=tenant, closed=closed)
    return Released(due, capped)


def release_capped(session: Session, now: ColumnElement[Any], *, tenant: str, closed: Collection[Lane] = ()) -> int:
    """Fill the tenant's room: interactive first, inside a lane by turn. The caller holds the lock of its caps."""
    moment = _moment(session, now)
    shut = {*paused_lanes(session), *(lane.value for lane in closed)}
    room, users = caps_room(session, tenant)
    if shut and (room is not None or users):
        pulled = {"tenant": tenant, "shut": sorted(shut), "now": moment, "whole": room is not None, "members": list(users)}
        session.execute(PULL_BACK, pulled)
    released = 0
    for lane in Lane:
        for _ in range(PAGES if lane.value not in shut else 0):
            room, users = caps_room(session, tenant)
            if room is not None and room <= 0:
                return released
            named = {"tenant": tenant, "lane": lane.value, "now": moment, "room": min(PAGE, room or PAGE), "users": json.dumps(users)}
            let_go = session.execute(LET_GO, {**named, "full": [user for user, left in users.items() if left <= 0]}).all()
            if not let_go:
                break
            released += len(let_go)
    return released


def caps_room(session: Session, tenant: str) -> tuple[int | None, dict[str, int]]:
    """How many more jobs may be offered: of the tenant (None: no cap), and of each user with a cap."""
    row = session.execute(ROOM, {"tenant": tenant}).one()
    return None if row.room is None else int(row.room), {user: int(left) for user, left in (row.users or {}).items()}


def _moment(session: Session, now: ColumnElement[Any]) -> datetime:
    """The time, of a transaction that may read the marks from here on."""
    announce(session)
    moment: datetime = session.execute(select(now)).scalar_one()
    return moment
