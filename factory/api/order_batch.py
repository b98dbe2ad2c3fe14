"""From an uploaded file to a committed batch: rows are read, checked and laid aside as a stream."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from factory.api import represent
from factory.api.links import Links
from factory.api.once import Once, order_once, same_order
from factory.api.rate_limits import limit_headers
from factory.db import Database
from factory.domain.caller import Caller
from factory.errors import NotFound
from factory.intake.batch_head import BatchHead
from factory.intake.check_upload import CheckedUpload, check_upload
from factory.intake.uploads import Upload
from factory.jobs.admit import Admission
from factory.jobs.answer_once import Act, Answer
from factory.jobs.find_batches import batch_in, find_own_batch
from factory.jobs.opening_hours import OpensAt
from factory.jobs.quote import quote_order
from factory.jobs.require_room import room_left
from factory.jobs.submit_batch import submit_batch


def order_batch(
    db: Database,
    caller: Caller,
    admission: Callable[[], Admission],
    links: Links,
    upload: Upload,
    query: dict[str, Any],
    once: Once,
    opens_at: OpensAt,
) -> Answer:
    """Rows that cannot be accepted are named in the answer; the others are ordered."""
    head = BatchHead()

    def existing() -> Answer | None:
        return present_batch(db, links, head.external_id, once) if head.external_id else None

    def prepare() -> tuple[str | None, Act]:
        nonlocal head
        checked = check_upload(db, caller, admission, upload, query)
        head = checked.head
        kept = _keeps_deadline(db, caller, checked, opens_at)
        return f"batch:{head.external_id}" if head.external_id else None, _act(caller, checked, links, upload, once, kept=kept)

    return order_once(db, once, prepare=prepare, existing=existing)


def _keeps_deadline(db: Database, caller: Caller, checked: CheckedUpload, opens_at: OpensAt) -> bool | None:
    """Asked before the order's own transaction: it looks at every row, and nobody has to wait for that."""
    order = checked.head.as_order()
    if order.deadline is None:
        return None
    how: dict[str, Any] = {"order": order, "prepared": checked.prepared, "max_queued": checked.max_queued}
    return quote_order(db, tenant=caller.tenant, **how, opens_at=opens_at).keeps(order.deadline)


def _act(caller: Caller, checked: CheckedUpload, links: Links, upload: Upload, once: Once, *, kept: bool | None) -> Act:
    head = checked.head

    def act(session: Session, now: ColumnElement[Any]) -> Answer:
        prepared = checked.prepared
        batch_id = submit_batch(
            session, now, caller, head.as_order(), prepared, request_sha256=once.request_sha256, max_queued=checked.max_queued
        )
        checked.remember(session, now, tenant=caller.tenant)
        found = batch_in(session, tenant=caller.tenant, name=str(batch_id), now=now)
        found.batch.warnings = upload.warnings
        # The whole order was judged: of one that was cut a part may be done in time though all of it would not.
        told: dict[str, Any] = {"deadline_kept": None if prepared.next_row and not kept else kept}
        room = room_left(session, tenant=caller.tenant, user=head.user or "", default=checked.max_queued)
        headers = limit_headers(limit=room.limit, room=room.left)
        return Answer(202, {**represent.batch(found, links), **told}, headers=headers)

    return act


def present_batch(db: Database, links: Links, external_id: str, once: Once) -> Answer | None:
    """As it stands now, if this order was taken before. Raises Invalid when another one was, under its name."""
    try:
        found = find_own_batch(db, tenant=once.tenant, external_id=external_id)
    except NotFound:
        return None
    if found.batch.problem is not None:
        return None  # nothing was ordered under this name: it may be sent again, repaired
    return same_order(external_id, found.batch.request_sha256, once, lambda: represent.batch(found, links))
