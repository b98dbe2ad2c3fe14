"""Checkpoint: AI weights that may be ordered. Registered by an operator; workers find the files by name."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row


class Checkpoint(Row):
    """`sha256` is the manifest hash of all its files; `native_side` is the default width and height in pixels."""

    __tablename__ = "checkpoints"

    name: Mapped[str] = mapped_column(primary_key=True)
    engine: Mapped[str]
    sha256: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    native_side: Mapped[int]
    registered_at: Mapped[datetime]
