"""WorkerPresence: which GPU processes are alive and what they hold. A narrow table, so that a heartbeat touches no index."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row


class WorkerPresence(Row):
    """`resident` lists the loaded checkpoints, last used first; gone after `seen_at` is older than a lease."""

    __tablename__ = "gpu_workers"

    name: Mapped[str] = mapped_column(primary_key=True)
    resident: Mapped[list[str]]
    lora_key: Mapped[str]
    since_swap: Mapped[int]
    started_at: Mapped[datetime]
    seen_at: Mapped[datetime]
