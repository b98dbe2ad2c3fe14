"""Orders that wait to be read: one reader takes each, under a lease that it renews; who has lost it can write nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select, update
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.batch import Batch
from factory.domain.caller import Caller
from factory.domain.idempotency_key import IdempotencyKey
from factory.domain.job import Job
from factory.domain.queue_mark import QueueMark
from factory.domain.share import Share
from factory.domain.status import JobStatus, Lane
from factory.domain.unread_order import UnreadOrder, UnreadPart
from factory.errors import Invalid, LeaseLost
from factory.jobs.shares import TENANT

LEASE = timedelta(seconds=60)
MOST_ATTEMPTS = 8
BACK_OFF = 5.0  # seconds, doubled each time: 40 minutes in all, more than a database takes to come back


@dataclass(frozen=True)
class TakenOrder:
    """What a reader needs to know of the order in its hands. `template` and the others are what the batch's row says."""

    batch_id: uuid.UUID
    token: uuid.UUID
    caller: Caller
    kind: str
    sha256: str
    address: dict[str, Any]
    form: dict[str, Any]
    priority: str | None
    attempts: int
    user: str
    template: str | None
    request_sha256: str
    ordered_at: datetime


@dataclass(frozen=True)
class ReceivedBatch:
    """A batch that was there before its rows. `take` locks it and strikes it off the list; raises LeaseLost when it is another's to write."""

    id: uuid.UUID
    ordered_at: datetime
    take: Callable[[Session], None]


def take_unread(db: Database) -> TakenOrder | None:
    """The next order that nobody reads, of those that are not paused; None when there is none. First comes the tenant whose last row stands
    first in the line, then the oldest: many files of one tenant do not stand before another's. What was put back stands behind those of its
    tenant that came meanwhile: an order that finds no room must not hold up the others."""
    waits = select(Job.id).where(Job.tenant == Share.tenant, Job.status == JobStatus.QUEUED.value).exists()  # else nothing is owed (shares)
    given = select(Share.finish).where(Share.tenant == UnreadOrder.tenant, Share.lane == Lane.BULK, Share.member == TENANT, waits)
    served = select(QueueMark.low).where(QueueMark.lane == Lane.BULK, QueueMark.checkpoint == "", QueueMark.tenant == "")
    free = (
        select(UnreadOrder.batch_id)
        .join(Batch, Batch.id == UnreadOrder.batch_id)
        .where(UnreadOrder.lease_until <= db.now(), Batch.paused_at.is_(None))
        .order_by(func.greatest(given.scalar_subquery(), served.scalar_subquery(), 0.0), UnreadOrder.lease_until, UnreadOrder.batch_id)
        .limit(1)
        .with_for_update(of=UnreadOrder, skip_locked=True)
    )
    token = uuid.uuid4()
    held = {"token": token, "lease_until": db.now() + LEASE, "attempts": UnreadOrder.attempts + 1}
    with db.transaction() as session:
        taken = update(UnreadOrder).where(UnreadOrder.batch_id == free.scalar_subquery()).values(**held)
        row = session.scalars(taken.returning(UnreadOrder).execution_options(synchronize_session=False)).one_or_none()
        if row is None:
            return None
        batch = session.get_one(Batch, row.batch_id)
    return TakenOrder(
        row.batch_id,
        token,
        Caller(row.tenant, row.caller, batch.key_id, network=row.network),
        row.kind,
        row.sha256,
        row.address,
        row.form,
        row.priority,
        row.attempts,
        batch.end_user or "",
        batch.template,
        batch.request_sha256,
        batch.created_at,
    )


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


def renew_lease(db: Database, taken: TakenOrder) -> bool:
    """False when the order is no longer this reader's: it was canceled or paused, or another one has it."""
    goes_on = select(Batch.id).where(Batch.id == taken.batch_id, Batch.paused_at.is_(None)).exists()
    with db.transaction() as session:
        kept = update(UnreadOrder).where(*_mine(taken), goes_on).values(lease_until=db.now() + LEASE).returning(UnreadOrder.batch_id)
        return session.scalar(kept.execution_options(synchronize_session=False)) is not None


def take_batch(session: Session, taken: TakenOrder) -> Batch:
    """Its row, locked to the end of the transaction, and the order struck off the list. Raises LeaseLost when it is no longer this
    reader's to write, or not as it was: paused, or of another priority."""
    batch = session.scalars(
        select(Batch).where(Batch.id == taken.batch_id).with_for_update().execution_options(populate_existing=True)
    ).one()
    gone = delete(UnreadOrder).where(*_mine(taken)).returning(UnreadOrder.priority)
    left = session.execute(gone.execution_options(synchronize_session=False)).one_or_none()
    if left is None or batch.paused_at is not None or left.priority != taken.priority:
        raise LeaseLost
    return batch


def put_back(db: Database, taken: TakenOrder, *, seconds: float) -> None:
    """To be read again, later: this reader did not vanish. Of an order that it has lost nothing changes."""
    again = {"token": None, "lease_until": db.now() + timedelta(seconds=seconds), "attempts": UnreadOrder.attempts - 1}
    with db.transaction() as session:
        session.execute(update(UnreadOrder).where(*_mine(taken)).values(**again).execution_options(synchronize_session=False))


def back_off(db: Database, taken: TakenOrder) -> None:
    """To be read again, after twice as long as before: what broke may have been its fault."""
    wait = timedelta(seconds=BACK_OFF * 2**taken.attempts)
    with db.transaction() as session:
        again = update(UnreadOrder).where(*_mine(taken)).values(token=None, lease_until=db.now() + wait)
        session.execute(again.execution_options(synchronize_session=False))


def refuse_order(db: Database, taken: TakenOrder, fault: Invalid) -> None:
    """It can never be read: the batch fails with what the door would have answered. Its name is free for a repaired one (`free_name`)."""
    problem = {"code": fault.code, "detail": str(fault), "errors": [problem.as_dict() for problem in fault.problems]}
    with db.transaction() as session:
        batch = take_batch(session, taken)
        batch.unread, batch.problem, batch.warnings = False, problem, fault.detail.get("warnings", [])
        if batch.external_id is not None:
            stored = [IdempotencyKey.tenant == batch.tenant, IdempotencyKey.key == f"batch:{batch.external_id}"]
            session.execute(delete(IdempotencyKey).where(*stored))


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


def free_name(session: Session, *, tenant: str, external_id: str | None) -> None:
    """An order that came to nothing before it was one keeps no name, as if the door had refused it."""
    mine = [Batch.tenant == tenant, Batch.external_id == external_id, Batch.problem.is_not(None)]
    if external_id is not None:
        session.execute(update(Batch).where(*mine).values(external_id=None).execution_options(synchronize_session=False))


def _mine(taken: TakenOrder) -> list[Any]:
    return [UnreadOrder.batch_id == taken.batch_id, UnreadOrder.token == taken.token]
