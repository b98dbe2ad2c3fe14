"""Orders that wait to be read: one reader takes each, under a hold that it renews; who holds it no longer can write nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.batch import Batch
from factory.domain.caller import Caller
from factory.domain.unread_order import UnreadOrder, UnreadPart
from factory.errors import Invalid

HOLD = timedelta(seconds=60)
MOST_ATTEMPTS = 5
LOST = {
    "code": "order_unreadable",
    "detail": f"{MOST_ATTEMPTS} readers of this order vanished, one after another; send it again in smaller files",
    "errors": [],
}


@dataclass(frozen=True)
class TakenOrder:
    """What a reader needs to know of the order in its hands."""

    batch_id: uuid.UUID
    token: uuid.UUID
    caller: Caller
    kind: str
    sha256: str
    address: dict[str, Any]
    form: dict[str, Any]
    attempts: int


def take_unread(db: Database) -> TakenOrder | None:
    """The oldest order that nobody reads, of those that are not paused; None when there is none."""
    free = (
        select(UnreadOrder.batch_id)
        .join(Batch, Batch.id == UnreadOrder.batch_id)
        .where(UnreadOrder.held_until <= db.now(), Batch.paused_at.is_(None))
        .order_by(UnreadOrder.batch_id)
        .limit(1)
        .with_for_update(of=UnreadOrder, skip_locked=True)
    )
    token = uuid.uuid4()
    held = {"token": token, "held_until": db.now() + HOLD, "attempts": UnreadOrder.attempts + 1}
    with db.transaction() as session:
        taken = update(UnreadOrder).where(UnreadOrder.batch_id == free.scalar_subquery()).values(**held)
        row = session.scalars(taken.returning(UnreadOrder).execution_options(synchronize_session=False)).one_or_none()
        if row is None:
            return None
        key_id = session.scalar(select(Batch.key_id).where(Batch.id == row.batch_id))
    caller = Caller(row.tenant, row.caller, key_id, network=row.network)
    return TakenOrder(row.batch_id, token, caller, row.kind, row.sha256, row.address, row.form, row.attempts)


def parts_of(db: Database, taken: TakenOrder) -> Iterator[bytes]:
    """The file, piece by piece."""
    number = 0
    while True:
        with db.transaction() as session:
            part = session.get(UnreadPart, (taken.batch_id, number))
        if part is None:
            return
        yield part.content
        number += 1


def keep_hold(db: Database, taken: TakenOrder) -> bool:
    """False when the order is no longer this reader's: it was canceled, or another one has it."""
    with db.transaction() as session:
        kept = update(UnreadOrder).where(*_mine(taken)).values(held_until=db.now() + HOLD).returning(UnreadOrder.batch_id)
        return session.scalar(kept.execution_options(synchronize_session=False)) is not None


def held_batch(session: Session, taken: TakenOrder) -> Batch | None:
    """Its row, locked to the end of the transaction, and the order struck off the list; None when it is no longer this reader's to write."""
    batch = session.scalars(select(Batch).where(Batch.id == taken.batch_id).with_for_update()).one()
    if batch.paused_at is not None:
        return None
    gone = delete(UnreadOrder).where(*_mine(taken)).returning(UnreadOrder.batch_id)
    return batch if session.scalar(gone.execution_options(synchronize_session=False)) else None


def put_back(db: Database, taken: TakenOrder, *, seconds: float) -> None:
    """To be read again, later: this reader did not vanish."""
    again = {"token": None, "held_until": db.now() + timedelta(seconds=seconds), "attempts": UnreadOrder.attempts - 1}
    with db.transaction() as session:
        session.execute(update(UnreadOrder).where(*_mine(taken)).values(**again).execution_options(synchronize_session=False))


def refuse_order(db: Database, taken: TakenOrder, problem: dict[str, Any]) -> None:
    """It can never be read: the batch fails with `problem`, as it would have been answered at the door."""
    with db.transaction() as session:
        if batch := held_batch(session, taken):
            batch.unread, batch.problem = False, problem


def as_problem(fault: Invalid) -> dict[str, Any]:
    return {"code": fault.code, "detail": str(fault), "errors": [problem.as_dict() for problem in fault.problems]}


def forget_unread(session: Session, *, tenant: str, batch_id: uuid.UUID) -> bool:
    """Whether the batch was unread; it is not any more. Who reads it now finds that it has lost it."""
    mine = [Batch.tenant == tenant, Batch.id == batch_id, Batch.unread]
    unread = session.scalar(
        update(Batch).where(*mine).values(unread=False).returning(Batch.id).execution_options(synchronize_session=False)
    )
    if unread is None:
        return False
    session.execute(delete(UnreadOrder).where(UnreadOrder.batch_id == batch_id).execution_options(synchronize_session=False))
    return True


def _mine(taken: TakenOrder) -> list[Any]:
    return [UnreadOrder.batch_id == taken.batch_id, UnreadOrder.token == taken.token]
