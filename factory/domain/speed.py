"""Speed: how long a picture of a size takes with a checkpoint, learned from what was drawn."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row

# Until something was drawn: GPU seconds of one megapixel (2**20 pixels) in eight evaluations on a common card.
SECONDS_PER_MEGAPIXEL = 2.0


class Speed(Row):
    """`seconds` is the median of recent pictures of `pixels` = width × height; `samples` is how many there were."""

    __tablename__ = "speeds"

    checkpoint: Mapped[str] = mapped_column(primary_key=True)
    pixels: Mapped[int] = mapped_column(primary_key=True)
    seconds: Mapped[float]
    samples: Mapped[int]
    measured_at: Mapped[datetime]
