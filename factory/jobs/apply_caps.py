"""apply_caps: of a tenant or user with a cap, no more jobs are offered to workers than the cap leaves room for; the others are held.

Strict: waiting and running together never exceed `max_running`. Who makes new or ended jobs of a tenant wait (orders, retries, a replay)
calls this in its transaction, after its rows are written; what was held already joins the line of the cap instead (release_held).
"""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import ColumnElement, exists, select, text
from sqlalchemy.orm import Session

from factory.db import among
from factory.domain.job import Job
from factory.domain.share import Allowance
from factory.jobs.one_at_a_time import wait_for_lock

TENANT = ""  # the member that stands for all of a tenant
# Interactive first: a click may take the place of a row that nobody works on yet. `lane` and `turn` say whose turn it is.
RANK = "array_position(ARRAY['interactive', 'bulk', 'offpeak'], lane), turn, id"
CAP_EXCESS = text(f"""
WITH offered AS MATERIALIZED (
  SELECT id, coalesce(end_user, '') AS member, lane, turn FROM jobs WHERE tenant = :tenant AND status = 'queued' AND hold IS NULL
    AND (CAST(:whole AS boolean) OR end_user = ANY(CAST(:members AS text[])))
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
TRY_LOCK = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")


def apply_caps(
    session: Session, now: ColumnElement[Any], *, tenant: str, batch_id: uuid.UUID | None = None, job_id: uuid.UUID | None = None
) -> int:
    """Hold what the caps have no room for; returns how many of the named batch's or job's rows that were.

    Free for tenants without caps, and for orders of none of the users who have one.
    """
    members = capped_members(session, tenant=tenant)
    if not _concerns(session, members, tenant=tenant, batch_id=batch_id, job_id=job_id):
        return 0
    lock_caps(session, tenant)
    who = {"whole": TENANT in members, "members": members}
    named = {"tenant": tenant, "batch": batch_id, "job": job_id, "now": session.scalar(select(now)), **who}
    mine = 0
    while True:
        row = session.execute(CAP_EXCESS, named).one()
        mine += int(row.mine)
        # A row that a worker took meanwhile is in work now: another one has to step back for it.
        if row.done == row.wanted:
            return mine


def capped_members(session: Session, *, tenant: str) -> list[str]:
    """Who has a cap on what is in work: users of this tenant, and '' for the tenant itself."""
    return list(session.scalars(select(Allowance.member).where(Allowance.tenant == tenant, Allowance.max_running.is_not(None))))


def is_capped(session: Session, *, tenant: str) -> bool:
    """Whether this tenant or any of its users has a cap on what is in work."""
    return bool(session.scalar(select(exists().where(Allowance.tenant == tenant, Allowance.max_running.is_not(None)))))


def _concerns(session: Session, members: list[str], *, tenant: str, batch_id: uuid.UUID | None, job_id: uuid.UUID | None) -> bool:
    """Whether a cap can have no room for what was named; without a name, for anything of the tenant."""
    if not members or TENANT in members or (batch_id is None and job_id is None):
        return bool(members)
    named = Job.id == job_id if batch_id is None else Job.batch_id == batch_id
    return bool(session.scalar(select(exists().where(Job.tenant == tenant, named, among(Job.end_user, members)))))


def lock_caps(session: Session, tenant: str, *, wait: bool = True) -> bool:
    """Until the end of the transaction nobody else counts this tenant's room; what they read afterwards holds our rows.

    False when somebody has the lock and `wait` is off.
    """
    name = f"caps:{tenant}"
    if wait:
        wait_for_lock(session, name)
        return True
    return bool(session.execute(TRY_LOCK, {"name": name}).scalar_one())
