"""Generation: the immutable record of one delivered picture: who asked, under which rules, what came out."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row, new_id


class Generation(Row):
    """Written with the asset and the status change, in one transaction. `seconds` and `facts` come from the worker."""

    __tablename__ = "generations"
    __table_args__ = (
        UniqueConstraint("job_id"),
        Index(None, "tenant", "id"),
        Index(None, "tenant", "sku", "id"),
        Index(None, "batch_id", "id"),
        Index(None, "asset_sha256"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    at: Mapped[datetime]
    tenant: Mapped[str]
    key_id: Mapped[uuid.UUID | None]
    caller: Mapped[str]
    network: Mapped[str | None]
    end_user: Mapped[str | None]
    batch_id: Mapped[uuid.UUID | None]
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int]
    sku: Mapped[str | None]
    prompt: Mapped[str]
    negative_prompt: Mapped[str | None]
    requested: Mapped[dict[str, Any]]
    effective: Mapped[dict[str, Any]]
    checkpoint: Mapped[str]
    checkpoint_sha256: Mapped[str]
    seed: Mapped[str]
    evaluations: Mapped[int]
    worker: Mapped[str]
    facts: Mapped[dict[str, Any]]
    seconds: Mapped[dict[str, Any]]
    policy_version: Mapped[str]
    decision: Mapped[str]
    label_profile: Mapped[str]
    asset_key: Mapped[str]
    asset_sha256: Mapped[str]
    asset_bytes: Mapped[int]
