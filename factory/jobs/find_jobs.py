"""find_jobs: jobs by id or by what was written on them. Lists are paged by id (UUIDv7, so newest first), never by OFFSET."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, func, select
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.asset import Asset
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.errors import NotFound
from factory.jobs.label_filter import LabelFilter
from factory.jobs.named import named

# A job's picture is its own or its twin's; nobody sees it before the job has succeeded.
DELIVERED = and_(Asset.job_id == func.coalesce(Job.twin_id, Job.id), Job.status == JobStatus.SUCCEEDED.value)
JOBS: Select[Any] = select(Job, Asset).outerjoin(Asset, DELIVERED)  # type: ignore[assignment]


@dataclass(frozen=True, kw_only=True)
class JobFilter(LabelFilter):
    """One grammar for API and CLI. `text` is looked for in the prompt."""

    status: tuple[str, ...] = ()
    batch: uuid.UUID | None = None
    sku: str | None = None
    model: str | None = None
    text: str | None = None
    dead_letter: bool | None = None

    def where(self) -> list[ColumnElement[bool]]:
        equal = {Job.batch_id: self.batch, Job.sku: self.sku, Job.checkpoint: self.model}
        found = [*self.on(Job), *(column == value for column, value in equal.items() if value is not None)]
        if self.status:
            found.append(Job.status.in_(self.status))
        if self.text:
            found.append(Job.spec["prompt"].astext.contains(self.text, autoescape=True))
        if self.dead_letter is not None:
            found.append(Job.dead_lettered_at.is_not(None) if self.dead_letter else Job.dead_lettered_at.is_(None))
        return found


@dataclass(frozen=True)
class FoundJob:
    """A job and, when it succeeded, its asset: the one of its twin where it has one."""

    job: Job
    asset: Asset | None


def find_job(db: Database, *, tenant: str, name: str) -> FoundJob:
    """By id or by the client's own id. Raises NotFound, also for another tenant's."""
    with db.transaction() as session:
        return job_in(session, tenant=tenant, name=name)


def find_own_job(db: Database, *, tenant: str, external_id: str) -> FoundJob:
    """Only by the client's own id. Raises NotFound."""
    with db.transaction() as session:
        return _first(session, JOBS.where(Job.tenant == tenant, Job.external_id == external_id), external_id)


def job_in(session: Session, *, tenant: str, name: str) -> FoundJob:
    """As this transaction sees it."""
    return _first(session, named(JOBS.where(Job.tenant == tenant), Job, name), name)


def _first(session: Session, statement: Select[Any], name: str) -> FoundJob:
    row = session.execute(statement).first()
    if row is None:
        raise NotFound(f"no job {name[:80]!r} belongs to your tenant")
    return FoundJob(row[0], row[1])


def list_jobs(db: Database, *, tenant: str | None, wanted: JobFilter, before: uuid.UUID | None = None, limit: int = 50) -> list[FoundJob]:
    """Newest first, at most `limit`, only ids below `before`. `tenant=None` is for operators."""
    where = wanted.where()
    if tenant is not None:
        where.append(Job.tenant == tenant)
    if before is not None:
        where.append(Job.id < before)
    with db.transaction() as session:
        return [FoundJob(job, asset) for job, asset in session.execute(JOBS.where(*where).order_by(Job.id.desc()).limit(limit))]
