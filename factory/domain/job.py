"""Job: one picture to make, the row we track. This table is the truth; the queue is a doorbell."""

from __future__ import annotations

import uuid
from datetime import date, datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.labels import CustomerLabels
from factory.domain.row import Row, new_id
from factory.domain.status import JobStatus

WAITING = text("status = 'queued'")


class Job(CustomerLabels, Row):
    """`attempt` is the fencing token: it rises with every claim and never falls. `vft` orders the waiting jobs.

    `lease_until` is in no index, so that renewing a lease stays a heap-only update.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("status IN ('" + "', '".join(JobStatus) + "')", name="status"),
        CheckConstraint("(status = 'running') = (lease_until IS NOT NULL AND worker IS NOT NULL)", name="leased"),
        UniqueConstraint("tenant", "project", "day", "seq"),
        Index(None, "tenant", "external_id", unique=True),
        Index("jobs_waiting_by_checkpoint_idx", "lane", "checkpoint", "vft", "id", postgresql_where=WAITING),
        Index("jobs_waiting_idx", "lane", "vft", "id", postgresql_where=WAITING),
        Index("jobs_expiring_idx", "expires_at", postgresql_where=text("status = 'queued' AND expires_at IS NOT NULL")),
        Index("jobs_running_idx", "worker", postgresql_where=text("status = 'running'")),
        Index("jobs_dead_idx", "tenant", "dead_lettered_at", postgresql_where=text("dead_lettered_at IS NOT NULL")),
        Index(None, "tenant", "id"),
        Index(None, "tenant", "status", "id"),
        Index(None, "tenant", "sku", "id"),
        Index(None, "batch_id", "row_no"),
        Index("jobs_tags_idx", "tags", postgresql_using="gin"),
        Index(
            "jobs_customer_metadata_idx",
            "customer_metadata",
            postgresql_using="gin",
            postgresql_ops={"customer_metadata": "jsonb_path_ops"},
        ),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    batch_id: Mapped[uuid.UUID | None] = mapped_column(ForeignKey("batches.id"))
    row_no: Mapped[int]
    external_id: Mapped[str | None]
    request_sha256: Mapped[str | None]
    sku: Mapped[str | None]
    project: Mapped[str]
    day: Mapped[date]
    seq: Mapped[int]
    key_id: Mapped[uuid.UUID | None]
    network: Mapped[str | None]

    status: Mapped[str]
    phase: Mapped[str | None]
    lane: Mapped[str]
    vft: Mapped[float]
    checkpoint: Mapped[str]
    requested: Mapped[dict[str, Any]]
    spec: Mapped[dict[str, Any]]
    warnings: Mapped[list[dict[str, Any]]]

    attempt: Mapped[int]
    lost_leases: Mapped[int]
    failures: Mapped[int]
    not_before: Mapped[datetime | None]
    avoid_worker: Mapped[str | None]
    worker: Mapped[str | None]
    lease_until: Mapped[datetime | None]
    error: Mapped[dict[str, Any] | None]
    dead_lettered_at: Mapped[datetime | None]
    expires_at: Mapped[datetime | None]

    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
