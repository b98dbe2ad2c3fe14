"""UnreadOrder: the file of an order that was taken before anybody read its rows. Gone once it is read."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ForeignKey, Index
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row


class UnreadOrder(Row):
    """`address` and `form` are what the order says of itself beside its file; `kind` is json, ndjson, csv or xlsx.

    `priority` is what somebody gave the order meanwhile. Who reads it has it until `lease_until`, under
    `token`; `attempts` counts readers that did not come to its end.
    """

    __tablename__ = "unread_orders"
    __table_args__ = (Index(None, "tenant"), Index(None, "lease_until"))

    batch_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True)
    tenant: Mapped[str]
    caller: Mapped[str]
    network: Mapped[str | None]
    kind: Mapped[str]
    sha256: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    address: Mapped[dict[str, Any]]
    form: Mapped[dict[str, Any]]
    priority: Mapped[str | None]
    attempts: Mapped[int]
    token: Mapped[uuid.UUID | None]
    lease_until: Mapped[datetime]


class UnreadPart(Row):
    """One piece of the file, so that neither who writes nor who reads it holds it as a whole."""

    __tablename__ = "unread_parts"

    batch_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("unread_orders.batch_id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[bytes]
