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

WAITING = text("status = 'queued' AND hold IS NULL")


class Job(CustomerLabels, Row):
    """`attempt` is the fencing token: it rises with every claim and never falls.

    `vft` orders the waiting jobs of all tenants (virtual finish time, GPU seconds over weight), `turn` those of one tenant
    among its users. `hold` says why a queued job is not offered; `ready_at` since when it is. `cost` is GPU seconds, expected
    when ordered. `twin_id` is the job whose picture this one delivers, `retry_of` the one that it replaces, which is `superseded`.
    `cell` is the place in a catalogue: sku, slot, size, locale, candidate. `lora_key` is '' without LoRAs.
    `lease_until` is in no index, so that renewing a lease stays a heap-only update.
    """

    __tablename__ = "jobs"
    __table_args__ = (
        CheckConstraint("status IN ('" + "', '".join(JobStatus) + "')", name="status"),
        CheckConstraint("hold IS NULL OR status = 'queued'", name="held"),
        CheckConstraint("(status = 'running') = (lease_until IS NOT NULL AND worker IS NOT NULL)", name="leased"),
        UniqueConstraint("tenant", "project", "day", "seq"),
        Index(None, "tenant", "external_id", unique=True),
        Index("jobs_waiting_by_checkpoint_idx", "lane", "checkpoint", "vft", "id", postgresql_where=WAITING),
        Index("jobs_waiting_by_lora_idx", "lane", "checkpoint", "lora_key", "vft", "id", postgresql_where=WAITING),
        Index("jobs_waiting_by_turn_idx", "tenant", "lane", "checkpoint", "turn", "id", postgresql_where=WAITING),
        Index("jobs_waiting_idx", "lane", "vft", "id", postgresql_where=WAITING),
        Index("jobs_waiting_by_batch_idx", "batch_id", postgresql_where=WAITING),
        Index("jobs_waiting_since_idx", "ready_at", postgresql_where=WAITING),
        Index("jobs_held_idx", "hold", "tenant", "lane", "turn", "id", postgresql_where=text("hold IS NOT NULL")),
        Index("jobs_paused_idx", "batch_id", postgresql_where=text("hold = 'paused'")),
        Index("jobs_scheduled_idx", "not_before", postgresql_where=text("hold = 'scheduled'")),
        Index("jobs_twins_idx", "twin_id", postgresql_where=text("twin_id IS NOT NULL")),
        Index("jobs_cells_idx", "tenant", "cell", "id", postgresql_where=text("cell IS NOT NULL")),
        Index(None, "tenant", "spec_sha256", "id"),
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
    hold: Mapped[str | None]
    priority: Mapped[str]
    lane: Mapped[str]
    vft: Mapped[float]
    turn: Mapped[float]
    cost: Mapped[float]
    ready_at: Mapped[datetime]
    checkpoint: Mapped[str]
    lora_key: Mapped[str]
    template: Mapped[str | None]
    cell: Mapped[str | None]
    spec_sha256: Mapped[str]
    twin_id: Mapped[uuid.UUID | None]
    retry_of: Mapped[uuid.UUID | None]
    superseded: Mapped[bool]
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
    deadline: Mapped[datetime | None]

    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
