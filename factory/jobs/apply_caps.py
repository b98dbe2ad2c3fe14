"""apply_caps: of a tenant or user with a cap, no more jobs are offered to workers than the cap leaves room for; the others are held.

Strict: waiting and running together never exceed `max_running`. Who makes new or ended jobs of a tenant wait (orders, retries, a replay)
calls this in its transaction, after its rows are written; what was held already joins the line of the cap instead (release_held).
"""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import ColumnElement, exists, select, text
from sqlalchemy.orm import Session

from factory.domain.share import Allowance

# Interactive first: a click may take the place of a row that nobody works on yet. `lane` and `turn` say whose turn it is.
RANK = "array_position(ARRAY['interactive', 'bulk', 'offpeak'], lane), turn, id"
CAP_EXCESS = text(f"""
WITH offered AS MATERIALIZED (
  SELECT id, coalesce(end_user, '') AS member, lane, turn FROM jobs WHERE tenant = :tenant AND status = 'queued' AND hold IS NULL
), running AS MATERIALIZED (
  SELECT coalesce(end_user, '') AS member, count(*) AS n FROM jobs WHERE tenant = :tenant AND status = 'running' GROUP BY 1
), ranked AS (
  SELECT offered.*, caps.max_running - coalesce(running.n, 0) AS room,
         row_number() OVER (PARTITION BY offered.member ORDER BY {RANK}) AS nth
  FROM offered LEFT JOIN running ON running.member = offered.member
  LEFT JOIN allowances AS caps ON caps.tenant = :tenant AND caps.member = offered.member AND offered.member <> ''
), fitting AS (
  SELECT id, row_number() OVER (ORDER BY {RANK}) AS nth FROM ranked WHERE room IS NULL OR nth <= room
), kept AS (
  SELECT id FROM fitting WHERE nth <= coalesce(
    (SELECT max_running FROM allowances WHERE tenant = :tenant AND member = '') - (SELECT coalesce(sum(n), 0) FROM running),
    'infinity'::float8)
), excess AS MATERIALIZED (
  SELECT id FROM offered EXCEPT SELECT id FROM kept
), locked AS MATERIALIZED (
  SELECT job.id FROM (SELECT id FROM excess ORDER BY id) AS one CROSS JOIN LATERAL (
    SELECT id, status, hold FROM jobs WHERE jobs.id = one.id OFFSET 0 FOR UPDATE
  ) AS job WHERE job.status = 'queued' AND job.hold IS NULL
), held AS (
  UPDATE jobs SET hold = 'capped', ready_at = :now FROM locked WHERE jobs.id = locked.id RETURNING jobs.id, jobs.batch_id
)
SELECT (SELECT count(*) FROM excess) AS wanted, (SELECT count(*) FROM held) AS done,
       (SELECT count(*) FROM held WHERE id = :job OR batch_id = :batch) AS mine
""")  # noqa: S608 - put together from our own constant
LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(:name, 0))")
TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")


def apply_caps(
    session: Session, now: ColumnElement[Any], *, tenant: str, batch_id: uuid.UUID | None = None, job_id: uuid.UUID | None = None
) -> int:
    """Hold what the caps have no room for; returns how many of the named batch's or job's rows that were. Free for tenants without caps."""
    if not is_capped(session, tenant=tenant):
        return 0
    lock_caps(session, tenant)
    named = {"tenant": tenant, "batch": batch_id, "job": job_id, "now": session.scalar(select(now))}
    mine = 0
    while True:
        row = session.execute(CAP_EXCESS, named).one()
        mine += int(row.mine)
        # A row that a worker took meanwhile is in work now: another one has to step back for it.
        if row.done == row.wanted:
            return mine


def is_capped(session: Session, *, tenant: str) -> bool:
    """Whether this tenant or any of its users has a cap on what is in work."""
    return bool(session.scalar(select(exists().where(Allowance.tenant == tenant, Allowance.max_running.is_not(None)))))


def lock_caps(session: Session, tenant: str, *, wait: bool = True) -> bool:
    """Until the end of the transaction nobody else counts this tenant's room; what they read afterwards holds our rows.

    False when somebody has the lock and `wait` is off.
    """
    name = {"name": f"caps:{tenant}"}
    if wait:
        session.execute(LOCK, name)
        return True
    return bool(session.execute(TRY_LOCK, name).scalar_one())
