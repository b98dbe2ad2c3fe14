"""Asset: a finished, stored, deliverable file. Exists exactly when its job succeeded."""

from __future__ import annotations

import uuid
from datetime import datetime

from sqlalchemy import ForeignKey, Index, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row, new_id


class Asset(Row):
    """`key` names the object of the attempt that counts; `filename` is what people see."""

    __tablename__ = "assets"
    __table_args__ = (
        UniqueConstraint("job_id"),
        UniqueConstraint("key"),
        Index(None, "tenant", "id"),
        Index(None, "batch_id"),
        Index("assets_kept_idx", "created_at", postgresql_where=text("deleted_at IS NULL")),
    )

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    tenant: Mapped[str]
    batch_id: Mapped[uuid.UUID | None]
    job_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("jobs.id"))
    attempt: Mapped[int]
    key: Mapped[str]
    filename: Mapped[str]
    media_type: Mapped[str]
    bytes: Mapped[int]
    sha256: Mapped[str]
    width: Mapped[int]
    height: Mapped[int]
    created_at: Mapped[datetime]
    # Its retention ended: the object is gone, the record stays.
    deleted_at: Mapped[datetime | None]
