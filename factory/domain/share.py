"""Share and Allowance: what a tenant or a user has been given of the GPUs, and what they may have."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row


class Share(Row):
    """`finish` is the virtual finish time of the last job admitted in this lane; `member` is '' for the tenant, else one of its users.

    `writer` is the transaction that writes the rows of the last long order: until it has ended they count as waiting, unseen as they are.

    Start-time fair queueing: Goyal, Vin and Cheng, IEEE/ACM Transactions on Networking 5(5), 1997.
    """

    __tablename__ = "shares"

    tenant: Mapped[str] = mapped_column(primary_key=True)
    lane: Mapped[str] = mapped_column(primary_key=True)
    member: Mapped[str] = mapped_column(primary_key=True)
    finish: Mapped[float]
    writer: Mapped[int | None] = mapped_column(BigInteger)


class Allowance(Row):
    """What an operator set for a tenant (`member` '') or one of its users; no row means weight 1 and no cap of their own.

    What queues is bounded all the same: a tenant's `max_queued` that nobody set is FACTORY_DEFAULT_MAX_QUEUED.
    """

    __tablename__ = "allowances"
    __table_args__ = (
        CheckConstraint("weight > 0", name="weight"),
        CheckConstraint("max_running >= 0 AND max_queued >= 0", name="caps"),
    )

    tenant: Mapped[str] = mapped_column(primary_key=True)
    member: Mapped[str] = mapped_column(primary_key=True)
    weight: Mapped[float]
    max_running: Mapped[int | None]
    max_queued: Mapped[int | None]
