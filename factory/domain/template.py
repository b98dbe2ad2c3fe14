"""Template: a prompt with typed holes, and how to draw it; versioned, never edited."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row, new_id


class Template(Row):
    """One version. `body` is a TemplateBody as JSON, `sha256` its hash: saving the same again makes no new version."""

    __tablename__ = "templates"
    __table_args__ = (UniqueConstraint("tenant", "name", "version"),)

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=new_id)
    tenant: Mapped[str] = mapped_column(ForeignKey("tenants.id"))
    name: Mapped[str]
    version: Mapped[int]
    body: Mapped[dict[str, Any]]
    sha256: Mapped[str]
    key_id: Mapped[uuid.UUID | None]
    created_at: Mapped[datetime]
