"""AuditEvent: one line of the log, written by whatever changed a status, in the same transaction. Never changed."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Identity, Index, text
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row


class AuditAction(StrEnum):
    """What happened: subject.past_participle."""

    BATCH_RECEIVED = "batch.received"
    BATCH_SUBMITTED = "batch.submitted"
    BATCH_CANCELED = "batch.canceled"
    BATCH_PAUSED = "batch.paused"
    BATCH_RESUMED = "batch.resumed"
    BATCH_REPRIORITISED = "batch.reprioritised"
    BATCH_RETRIED = "batch.retried"
    BATCH_EXTENDED = "batch.extended"
    BATCH_ENDED = "batch.ended"
    JOB_SUBMITTED = "job.submitted"
    JOB_STARTED = "job.started"
    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_RETRIED = "job.retried"
    JOB_RELEASED = "job.released"
    JOB_REQUEUED = "job.requeued"
    JOB_DEAD_LETTERED = "job.dead_lettered"
    JOB_REPLAYED = "job.replayed"
    JOB_CANCELED = "job.canceled"
    JOB_EXPIRED = "job.expired"
    JOB_REUSED = "job.reused"
    JOB_REPRIORITISED = "job.reprioritised"
    ASSET_EXPIRED = "asset.expired"
    LANE_PAUSED = "lane.paused"
    LANE_RESUMED = "lane.resumed"
    ALLOWANCE_SET = "allowance.set"
    TEMPLATE_SAVED = "template.saved"
    LORA_REGISTERED = "lora.registered"
    WEBHOOK_CREATED = "webhook.created"
    WEBHOOK_ROTATED = "webhook.rotated"
    WEBHOOK_DISABLED = "webhook.disabled"
    WEBHOOK_DELETED = "webhook.deleted"
    WEBHOOK_ENABLED = "webhook.enabled"
    PROMPT_REJECTED = "prompt.rejected"
    KEY_CREATED = "key.created"
    KEY_REVOKED = "key.revoked"
    CHECKPOINT_REGISTERED = "checkpoint.registered"


@dataclass(frozen=True)
class Actor:
    """Who did it. `kind` is key, worker, upkeep or operator; `name` identifies the one."""

    kind: str
    name: str


class AuditEvent(Row):
    """`was` and `became` are job statuses; both are empty for events that change none."""

    __tablename__ = "audit_events"
    __table_args__ = (
        Index(None, "tenant", "id"),
        Index(None, "job_id", "id"),
        Index(None, "tenant", "action", "id"),
        Index(None, "tx", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    at: Mapped[datetime]
    tenant: Mapped[str]
    actor_kind: Mapped[str]
    actor: Mapped[str]
    action: Mapped[str]
    batch_id: Mapped[uuid.UUID | None]
    job_id: Mapped[uuid.UUID | None]
    attempt: Mapped[int | None]
    sku: Mapped[str | None]
    was: Mapped[str | None]
    became: Mapped[str | None]
    detail: Mapped[dict[str, Any]]
    # The transaction that wrote it: a reader that goes on from the last id would miss what commits late.
    tx: Mapped[int] = mapped_column(BigInteger, server_default=text("pg_current_xact_id()::text::bigint"))
