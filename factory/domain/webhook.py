"""Webhooks: where a tenant wants to hear what happened, what was sent there, and how far the log has been read for it."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row, new_id


class WebhookEndpoint(Row):
    """`kind` is standard, feishu, wecom or dingtalk. `secrets` sign, the newest first; the older ones until `rotated_at` + a day."""

    __tablename__ = "webhook_endpoints"
    __table_args__ = (Index(None, "tenant", "id"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    kind: Mapped[str]
    url: Mapped[str]
    events: Mapped[list[str]]
    secrets: Mapped[list[str]]
    rotated_at: Mapped[datetime | None]
    created_at: Mapped[datetime]
    disabled_at: Mapped[datetime | None]
    disabled_why: Mapped[str | None]


class WebhookDelivery(Row):
    """One event for one endpoint. `id` is the message id, the same in every attempt. `ended_at` is set by a 2xx or by giving up."""

    __tablename__ = "webhook_deliveries"
    __table_args__ = (
        UniqueConstraint("endpoint_id", "event_id", "replay"),
        Index("webhook_deliveries_due_idx", "endpoint_id", "due_at", postgresql_where=text("ended_at IS NULL")),
        Index(None, "tenant", "id"),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    tenant: Mapped[str]
    endpoint_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("webhook_endpoints.id"))
    event_id: Mapped[int] = mapped_column(BigInteger)
    replay: Mapped[int]
    kind: Mapped[str]
    payload: Mapped[dict[str, Any]]
    attempts: Mapped[int]
    due_at: Mapped[datetime]
    created_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    succeeded: Mapped[bool]
    answer: Mapped[dict[str, Any] | None]


class WebhookCursor(Row):
    """One row: every event up to (`tx`, `event_id`) has its deliveries."""

    __tablename__ = "webhook_cursor"

    id: Mapped[int] = mapped_column(primary_key=True)
    tx: Mapped[int] = mapped_column(BigInteger)
    event_id: Mapped[int] = mapped_column(BigInteger)
