"""read_order: an order that was received as a file gets its rows, or the reason why it never will."""

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
from factory.domain.expiry import expiry
from factory.domain.status import Priority
from factory.errors import Capacity, Invalid, LeaseLost, QueueFull, Transient
from factory.intake.batch_head import read_head
from factory.intake.check_upload import CheckedUpload, check_upload
from factory.intake.columns import Reading
from factory.intake.uploads import Upload
from factory.jobs.admit import Admission
from factory.jobs.batch_order import BatchOrder
from factory.jobs.column_mappings import save_mapping
from factory.jobs.submit_batch import submit_batch
from factory.jobs.unread_orders import (
    LOST,
    MOST_ATTEMPTS,
    TakenOrder,
    as_problem,
    held_batch,
    keep_hold,
    parts_of,
    put_back,
    refuse_order,
    take_unread,
)
from factory.logs import get_logger

IN_MEMORY = 2 * 1024 * 1024
RENEW_SECONDS = 10.0
ROWS_BETWEEN_LOOKS = 256
SOON = 5.0
log = get_logger(__name__)


@dataclass
class _HeldUpload(Upload):
    """Keeps the hold on its order while its rows are read, once or twice."""

    keep: Callable[[], None] = lambda: None

    def rows(self, reading: Reading) -> Generator[tuple[int, Any], None, None]:
        with closing(super().rows(reading)) as rows:
            for count, row in enumerate(rows):
                if not count % ROWS_BETWEEN_LOOKS:
                    self.keep()
                yield row


def read_next_order(db: Database, admission: Callable[[], Admission]) -> int | None:
    """Read the oldest order that waits for it; returns how many rows were ordered, None when there is nothing to read.

    Raises Transient, after which the order waits to be read again.
    """
    taken = take_unread(db)
    if taken is None:
        return None
    if taken.attempts > MOST_ATTEMPTS:
        refuse_order(db, taken, LOST)
        return 0
    try:
        with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as file:
            for part in parts_of(db, taken):
                file.write(part)
            upload = _HeldUpload(file, taken.kind, taken.sha256, dict(taken.form), keep=_keeper(db, taken))
            return _order(db, taken, check_upload(db, taken.caller, admission, upload, taken.address), upload)
    except LeaseLost:  # canceled meanwhile, paused, or with another reader
        return 0
    except QueueFull as full:
        put_back(db, taken, seconds=full.detail["retry_after"])
        return 0
    except Invalid as fault:
        refuse_order(db, taken, as_problem(fault))
        return 0
    except (Transient, Capacity):
        put_back(db, taken, seconds=SOON)
        raise


def _keeper(db: Database, taken: TakenOrder) -> Callable[[], None]:
    renewed = time.monotonic()

    def keep() -> None:
        nonlocal renewed
        if time.monotonic() - renewed > RENEW_SECONDS:
            if not keep_hold(db, taken):
                raise LeaseLost
            renewed = time.monotonic()

    return keep


def _order(db: Database, taken: TakenOrder, checked: CheckedUpload, upload: Upload) -> int:
    now = db.now()
    try:
        with db.transaction() as session:
            batch = held_batch(session, taken)
            if batch is None:
                raise LeaseLost
            order, hash_of = _as_received(checked, batch, taken), batch.request_sha256
            limits: dict[str, Any] = {"request_sha256": hash_of, "max_queued": checked.max_queued}
            submit_batch(session, now, taken.caller, order, checked.prepared, received=batch, **limits)
            batch.warnings = upload.warnings
            if checked.head.remember is not None:
                save_mapping(session, now, tenant=taken.caller.tenant, name=checked.head.remember, columns=checked.mapping)
            return batch.rows_accepted
    except IntegrityError as fault:
        if getattr(getattr(fault.orig, "diag", None), "table_name", None) != Batch.__tablename__:
            raise Transient("a row of the same name was ordered at the same moment") from fault  # read again, it says so
        name = checked.head.external_id
        raise Invalid(f"external_id {name!r} belongs to another order; choose a new id", code="external_id_reused") from fault


def _as_received(checked: CheckedUpload, batch: Batch, taken: TakenOrder) -> BatchOrder:
    """What counts from the order counts from when it was taken; and a priority that somebody gave it meanwhile stays."""
    order = checked.head.as_order()
    if order.expires_in is not None:
        order = replace(order, expires_at=expiry(batch.created_at, None, order.expires_in), expires_in=None)
    said = read_head(taken.address, taken.form).priority or Priority.BULK
    return order if batch.priority == said else replace(order, priority=Priority(batch.priority))
