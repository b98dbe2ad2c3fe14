"""lineage: the jobs that a row of a batch has had, the first one first; each but the last was replaced by the next."""

from __future__ import annotations

from sqlalchemy import select

from factory.db import Database
from factory.domain.job import Job
from factory.jobs.find_jobs import find_job


def lineage(db: Database, *, tenant: str, name: str) -> list[Job]:
    """Of any job of the row, by our id or the client's own. Raises NotFound, also for another tenant's."""
    job = find_job(db, tenant=tenant, name=name).job
    if job.batch_id is None:
        return [job]
    with db.transaction() as session:
        # A row of a catalogue has many cells, each with jobs of its own.
        same = Job.batch_id == job.batch_id, Job.row_no == job.row_no, Job.cell.is_not_distinct_from(job.cell)
        mine = select(Job).where(*same, Job.tenant == tenant)
        return list(session.scalars(mine.order_by(Job.created_at, Job.id)))
