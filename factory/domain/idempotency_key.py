"""IdempotencyKey: the stored answer of an order, so that a repeat is harmless (draft-ietf-httpapi-idempotency-key-header)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row


class IdempotencyKey(Row):
    """Written in the transaction of the order itself, so it exists exactly when the order does."""

    __tablename__ = "idempotency_keys"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(primary_key=True)
    request_sha256: Mapped[str]
    status_code: Mapped[int]
    body: Mapped[dict[str, Any]]
    created_at: Mapped[datetime] = mapped_column(index=True)
