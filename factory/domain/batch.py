"""Batch: one order of many rows. Its progress is counted from its jobs, never stored."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, false, text
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.labels import CustomerLabels
from factory.domain.row import Row, new_id


class Batch(CustomerLabels, Row):
    """`ended_at` is set by upkeep, together with the event that webhooks wait for, once no job of it waits or runs.

    `row_errors` keeps the first rows that could not be accepted, with row number and field; `rows_refused` counts them all; from
    `next_row` on no row of the file that was sent last had a place. `unread`: the order was taken, and its rows wait to be read
    (`unread_orders`); `problem` says why they could not be.
    """

    __tablename__ = "batches"
    __table_args__ = (
        Index(None, "tenant", "external_id", unique=True),
        Index(None, "tenant", "id"),
        Index("batches_open_idx", "id", postgresql_where=text("ended_at IS NULL")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    external_id: Mapped[str | None]
    request_sha256: Mapped[str]
    project: Mapped[str]
    key_id: Mapped[uuid.UUID | None]
    catalogue: Mapped[str | None]
    template: Mapped[str | None]
    priority: Mapped[str]
    deadline: Mapped[datetime | None]
    paused_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]
    retention: Mapped[str]
    rows_accepted: Mapped[int]
    rows_refused: Mapped[int]
    row_errors: Mapped[list[dict[str, Any]]]
    created_at: Mapped[datetime]
    unread: Mapped[bool] = mapped_column(default=False, server_default=false())
    problem: Mapped[dict[str, Any] | None]
    next_row: Mapped[int | None]
    warnings: Mapped[list[dict[str, Any]]] = mapped_column(default=list, server_default="[]")
