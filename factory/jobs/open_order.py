"""open_order: an order that goes on and may get more rows; how it stood before those were read, and whether it still stands so."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.errors import Conflict
from factory.jobs.end_batches import OPEN
from factory.jobs.find_batches import batch_row, count_jobs, status_of

REMEDY = "send these rows as an order of their own"


class OrderMoved(Conflict):
    """The order was extended, paused, resumed or reprioritised at this moment. Send the rows again."""

    code = "request_in_flight"


@dataclass(frozen=True)
class OpenOrder:
    """`batch` is its row as it was when looked at, `last_row` the highest number that a row of it has. `template` is the order's own, in
    the version that its rows were ordered with."""

    batch: Batch
    last_row: int
    template: str | None

    @property
    def rows(self) -> int:
        """Accepted and refused ones."""
        return self.batch.rows_accepted + self.batch.rows_refused


def find_open_order(db: Database, *, tenant: str, name: str) -> OpenOrder:
    """Raises NotFound, also for another tenant's; Conflict for an order that cannot be extended."""
    with db.transaction() as session:
        batch = batch_row(session, tenant=tenant, name=name)
        # Numbers of a table count its blank rows, so the last one may be higher than there are rows.
        last = session.scalar(select(func.max(Job.row_no)).where(Job.batch_id == batch.id)) or 0
        highest = max([last, batch.rows_accepted + batch.rows_refused, *(error["row"] for error in batch.row_errors)])
        _require_open(session, batch, highest)
        return OpenOrder(batch, highest, _template(session, batch))


def require_unmoved(session: Session, order: OpenOrder) -> Batch:
    """The order's row now. Raises Conflict when it does not go on, OrderMoved when it is not as it was looked at."""
    return _unmoved(session, order, session.scalars(_again(order)).one())


def lock_unmoved(session: Session, order: OpenOrder) -> Batch:
    """The same, and until the commit nobody steers, ends or cancels it."""
    return _unmoved(session, order, session.scalars(_again(order).with_for_update(key_share=True)).one())


def _again(order: OpenOrder) -> Select[Batch]:
    return select(Batch).where(Batch.id == order.batch.id).execution_options(populate_existing=True)


def _unmoved(session: Session, order: OpenOrder, batch: Batch) -> Batch:
    _require_open(session, batch, order.last_row)
    if _standing(batch) != _standing(order.batch):
        raise OrderMoved
    return batch


def _standing(batch: Batch) -> tuple[Any, ...]:
    return batch.rows_accepted, batch.rows_refused, batch.priority, batch.paused_at is not None


def _require_open(session: Session, batch: Batch, last_row: int) -> None:
    """`last_row`: what comes behind it is being added."""
    name = batch.external_id or batch.id
    if batch.catalogue is not None:
        message = f"batch {name} is of the catalogue {batch.catalogue!r}: add the rows to that, and apply it again"
        raise Conflict(message, code="batch_of_catalogue")
    if batch.unread:
        raise Conflict(f"the rows of batch {name} are being read; extend it in a few seconds", code="batch_unread")
    if batch.ended_at is None and batch.problem is None and _has_open_jobs(session, batch.id, last_row):
        return
    came = "could not be read"
    if batch.problem is None:
        came = f"has ended as {status_of(batch, count_jobs(session, batch.id, Job.row_no <= last_row))}"
    raise Conflict(f"batch {name} {came}, so nothing can be added to it; {REMEDY}", code="batch_ended")


def _has_open_jobs(session: Session, batch_id: uuid.UUID, last_row: int) -> bool:
    """Asked from the last row backwards, as `end_batches` does. Without any it has ended, or was canceled, though upkeep has not said so yet."""
    mine = Job.batch_id == batch_id, Job.row_no <= last_row, Job.status.in_(OPEN)
    return session.scalar(select(Job.id).where(*mine).order_by(Job.row_no.desc()).limit(1)) is not None


def _template(session: Session, batch: Batch) -> str | None:
    """As with a retry, it does not drift to a newer version. Without a row that was drawn by it there is none to keep to."""
    if batch.template is None:
        return None
    mine = Job.batch_id == batch.id, Job.template.is_not(None), Job.requested["template"].astext == batch.template
    return session.scalar(select(Job.template).where(*mine).order_by(Job.row_no, Job.id).limit(1)) or batch.template
