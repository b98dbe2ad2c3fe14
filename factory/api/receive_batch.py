"""From an uploaded file to a batch whose rows are read later: `Prefer: respond-async`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import Depends, Header
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from factory.api import represent
from factory.api.links import Links
from factory.api.once import Once, order_once
from factory.api.order_batch import present_batch
from factory.api.prefer import preferences
from factory.api.rate_limits import limit_headers
from factory.db import Database
from factory.domain.caller import Caller
from factory.intake.batch_head import read_head
from factory.intake.check_upload import check_names
from factory.intake.uploads import Upload
from factory.jobs.admit import Admission
from factory.jobs.answer_once import Act, Answer
from factory.jobs.find_batches import batch_in
from factory.jobs.receive_order import OrderFile, receive_order
from factory.jobs.require_room import room_left


async def _later(
    prefer: Annotated[
        list[str] | None, Header(description="`respond-async` (RFC 7240): answer when the file is safe; its rows are read afterwards")
    ] = None,
) -> bool:
    return "respond-async" in preferences(prefer or [])


Later = Annotated[bool, Depends(_later)]


def receive_batch(
    db: Database,
    caller: Caller,
    admission: Callable[[], Admission],
    links: Links,
    upload: Upload,
    address: dict[str, Any],
    once: Once,
) -> Answer:
    """What stands beside the file is checked now. Raises Invalid, QueueFull."""
    head = read_head(address, upload.head)

    def existing() -> Answer | None:
        return present_batch(db, links, head.external_id, once) if head.external_id else None

    def act(session: Session, now: ColumnElement[Any]) -> Answer:
        how: dict[str, Any] = {"request_sha256": once.request_sha256, "max_queued": most}
        said = {**upload.head, **({"template": template} if template else {})}
        sent = OrderFile(upload.file, upload.kind, upload.sha256, address, said)
        batch_id = receive_order(session, now, caller, head.as_order(), sent, **how)
        room = room_left(session, tenant=caller.tenant, user=head.user or "", default=most)
        found = batch_in(session, tenant=caller.tenant, name=str(batch_id), now=now)
        return Answer(202, represent.batch(found, links), headers=limit_headers(limit=room.limit, room=room.left))

    template: str | None = None

    def prepare() -> tuple[str | None, Act]:
        nonlocal template
        template = check_names(db, caller, admission, head)
        return f"batch:{head.external_id}" if head.external_id else None, act

    most = admission().limits.max_queued
    return order_once(db, once, prepare=prepare, existing=existing)
