"""read_next_order: an order that was received as a file gets its rows, or the reason why it never will."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.exc import IntegrityError

from factory.db import Database
from factory.domain.batch import Batch
from factory.domain.status import Priority
from factory.errors import Capacity, Invalid, LeaseLost, NotFound, QueueFull, Transient
from factory.intake.check_upload import CheckedUpload, check_upload
from factory.intake.columns import Reading
from factory.intake.uploads import Upload
from factory.jobs.admit import Admission
from factory.jobs.find_batches import find_own_batch
from factory.jobs.require_room import require_room
from factory.jobs.submit_batch import submit_batch
from factory.jobs.unread_orders import (
    MOST_ATTEMPTS,
    ReceivedBatch,
    TakenOrder,
    back_off,
    parts_of,
    put_back,
    refuse_order,
    renew_lease,
    take_batch,
    take_unread,
)
from factory.logs import get_logger

IN_MEMORY = 2 * 1024 * 1024
RENEW_SECONDS = 10.0
ROWS_BETWEEN_LOOKS = 256
log = get_logger(__name__)


@dataclass
class _LeasedUpload(Upload):
    """Renews the lease of its order while its rows are read, once or twice."""

    keep: Callable[[], None] = lambda: None

    def rows(self, reading: Reading) -> Generator[tuple[int, Any], None, None]:
        with closing(super().rows(reading)) as rows:
            for count, row in enumerate(rows):
                if not count % ROWS_BETWEEN_LOOKS:
                    self.keep()
                yield row


def read_next_order(db: Database, admission: Callable[[], Admission]) -> int | None:
    """Read the oldest order that waits for it; returns how many rows were ordered, None when there is nothing to read.

    Raises Transient and Capacity; the order waits to be read again then.
    """
    taken = take_unread(db)
    if taken is None:
        return None
    try:
        return _read(db, taken, admission)
    except LeaseLost:  # canceled meanwhile, paused, moved, or with another reader
        put_back(db, taken, seconds=0)
    except QueueFull as full:
        put_back(db, taken, seconds=full.detail["retry_after"])
    except (Transient, Capacity):
        back_off(db, taken)
        raise
    return 0


def _read(db: Database, taken: TakenOrder, admission: Callable[[], Admission]) -> int:
    try:
        _limit_attempts(taken)
        with db.transaction() as session:  # before a minute is spent on what has no place
            require_room(session, db.now(), tenant=taken.caller.tenant, user=taken.user, default=admission().limits.max_queued)
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
            for part in parts_of(db, taken):
                file.write(part)
            upload = _LeasedUpload(file, taken.kind, taken.sha256, dict(taken.form), keep=_renewer(db, taken))
            checked = check_upload(db, taken.caller, lambda: replace(admission(), moment=taken.ordered_at), upload, taken.address)
            if not renew_lease(db, taken):  # for the writing, which takes less than the minute that a statement may last
                raise LeaseLost
            return _order(db, taken, checked, upload)
    except QueueFull:
        raise
    except Invalid as fault:
        refuse_order(db, taken, fault)
        log.info("order.refused", batch=str(taken.batch_id), code=fault.code)
        return 0


def _limit_attempts(taken: TakenOrder) -> None:
    if taken.attempts > MOST_ATTEMPTS:
        message = f"{MOST_ATTEMPTS} times this order could not be read to its end; send it again in smaller files"
        raise Invalid(message, code="order_unreadable")


def _renewer(db: Database, taken: TakenOrder) -> Callable[[], None]:
    renewed = time.monotonic()

    def keep() -> None:
        nonlocal renewed
        if time.monotonic() - renewed > RENEW_SECONDS:
            if not renew_lease(db, taken):
                raise LeaseLost
            renewed = time.monotonic()

    return keep


def _order(db: Database, taken: TakenOrder, checked: CheckedUpload, upload: Upload) -> int:
    order, now = checked.head.as_order(), db.now()
    if order.template == taken.form.get("template"):  # in the version that was meant when it was ordered; the batch says what was said
        order = replace(order, template=taken.template)
    if taken.priority:
        order = replace(order, priority=Priority(taken.priority))
    limits: dict[str, Any] = {"request_sha256": taken.request_sha256, "max_queued": checked.max_queued}
    locked: list[Batch] = []
    received = ReceivedBatch(taken.batch_id, taken.ordered_at, lambda session: locked.append(take_batch(session, taken)))
    try:
        with db.transaction() as session:
            submit_batch(session, now, taken.caller, order, checked.prepared, received=received, **limits)
            locked[0].warnings = upload.warnings
            checked.remember(session, now, tenant=taken.caller.tenant)
        log.info("order.read", batch=str(taken.batch_id), rows=locked[0].rows_accepted, refused=locked[0].rows_refused)
        return locked[0].rows_accepted
    except IntegrityError as fault:
        if getattr(getattr(fault.orig, "diag", None), "table_name", None) != Batch.__tablename__:
            raise Transient("a row of the same name was ordered at the same moment") from fault  # read again, it says so
        raise _name_taken(db, taken, checked.head.external_id or "") from fault


def _name_taken(db: Database, taken: TakenOrder, name: str) -> Invalid:
    try:
        holder = find_own_batch(db, tenant=taken.caller.tenant, external_id=name).batch
    except NotFound as fault:
        raise Transient(f"who had the name {name!r} has lost it") from fault
    if holder.problem is not None:
        raise Transient(f"who had the name {name!r} came to nothing")
    if holder.request_sha256 == taken.request_sha256:
        return Invalid(f"this same order was taken before, as batch {holder.id}; nothing of it is missing", code="already_ordered")
    return Invalid(f"external_id {name!r} belongs to batch {holder.id}, another order; choose a new id", code="external_id_reused")
