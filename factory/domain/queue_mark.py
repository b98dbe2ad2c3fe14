"""QueueMark: nothing that waits stands before it, so that claims need not walk over what left the queue long ago.

An index keeps the entries of claimed jobs for as long as any old snapshot might see them. A claim that starts at the mark never
meets them.
"""

from __future__ import annotations

from sqlalchemy import BigInteger
from sqlalchemy.orm import Mapped, mapped_column

from factory.domain.row import Row


class QueueMark(Row):
    """One for each lane ('', ''), lane and checkpoint (…, ''), and lane, checkpoint and tenant.

    Of `vft` for the first two, of `turn` for the third. Every writer of a waiting row raises its value to `low` at least; claims
    start at `settled`, which follows `low` once every transaction has ended that might have read an older one. `horizon` is the
    transaction id that tells when.
    """

    __tablename__ = "queue_marks"

    lane: Mapped[str] = mapped_column(primary_key=True)
    checkpoint: Mapped[str] = mapped_column(primary_key=True)
    tenant: Mapped[str] = mapped_column(primary_key=True)
    low: Mapped[float]
    settled: Mapped[float]
    horizon: Mapped[int | None] = mapped_column(BigInteger)
