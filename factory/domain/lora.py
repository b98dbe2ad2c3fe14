"""Lora: a small set of weights that may be ordered on top of a checkpoint. Registered by an operator; workers find the file by name."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row


class Lora(Row):
    """`sha256` is of its one safetensors file, in the diffusers layout."""

    __tablename__ = "loras"

    name: Mapped[str] = mapped_column(primary_key=True)
    sha256: Mapped[str]
    bytes: Mapped[int] = mapped_column(BigInteger)
    registered_at: Mapped[datetime]
