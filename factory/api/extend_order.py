"""From an uploaded file to more rows of an order that goes on. It is read anew when somebody steers the order meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from factory.api import represent
from factory.api.links import Links
from factory.api.once import Once, order_once
from factory.api.rate_limits import limit_headers
from factory.db import Database
from factory.domain.caller import Caller
from factory.errors import Invalid
from factory.intake.check_upload import CheckedUpload
from factory.intake.extension import check_extension
from factory.intake.uploads import Upload
from factory.jobs.admit import Admission
from factory.jobs.answer_once import Act, Answer
from factory.jobs.extend_batch import extend_batch
from factory.jobs.find_batches import batch_in
from factory.jobs.open_order import OpenOrder, OrderMoved, find_open_order
from factory.jobs.require_room import room_left

TRIES = 3


def extend_order(
    db: Database,
    caller: Caller,
    admission: Callable[[], Admission],
    links: Links,
    upload: Upload,
    address: dict[str, Any],
    once: Once,
    name: str,
) -> Answer:
    """Rows that cannot be accepted are named in the answer; the others are added. Raises Conflict for an order that does not go on, and when
    it was steered again and again while the rows were read."""

    def prepare() -> tuple[str | None, Act]:
        order = find_open_order(db, tenant=caller.tenant, name=name)
        with _numbered(order):
            checked = check_extension(db, caller, admission, upload, address, order)
        return None, _act(caller, order, checked, links, upload)

    extend = partial(order_once, db, once, prepare=prepare, existing=_none)
    for _ in range(TRIES - 1):
        with suppress(OrderMoved):
            return extend()
    return extend()


def _none() -> None:
    """Only its key says that an extension was sent before: it has no name of its own."""


def _act(caller: Caller, order: OpenOrder, checked: CheckedUpload, links: Links, upload: Upload) -> Act:
    head, prepared = checked.head, checked.prepared

    def act(session: Session, now: ColumnElement[Any]) -> Answer:
        how: dict[str, Any] = {"warnings": upload.warnings, "max_queued": checked.max_queued}
        with _numbered(order):
            done = extend_batch(session, now, caller, order, head.as_order(), prepared, **how)
        checked.remember(session, now, tenant=caller.tenant)
        receipt = {
            "rows_accepted": done.accepted,
            "rows_refused": done.refused,
            "row_errors": prepared.errors,
            "warnings": list(upload.warnings),
        }
        found = batch_in(session, tenant=caller.tenant, name=str(order.batch.id), now=now)
        room = room_left(session, tenant=caller.tenant, user=head.user or "", default=checked.max_queued)
        body = {**represent.batch(found, links), "first_row": order.last_row + 1, "receipt": receipt}
        return Answer(202, body, headers=limit_headers(limit=room.limit, room=room.left))

    return act


@contextmanager
def _numbered(order: OpenOrder) -> Iterator[None]:
    """Of rows of which none was added, their numbers must be explained."""
    try:
        yield
    except Invalid as fault:
        if fault.code != "no_valid_rows":
            raise
        message = f"{fault}; the first row sent would be row {order.last_row + 1} of the order, and the others count on from there"
        raise Invalid(message, *fault.problems, code=fault.code, **fault.detail) from fault
