"""LaneState: whether a lane is open. One row for each lane that was ever paused."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row


class LaneState(Row):
    """`paused_at` is empty while the lane is open; claims look here each time."""

    __tablename__ = "lanes"

    lane: Mapped[str] = mapped_column(primary_key=True)
    paused_at: Mapped[datetime | None]
    paused_by: Mapped[str | None]
