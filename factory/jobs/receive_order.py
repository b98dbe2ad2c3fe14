"""receive_order: an order's file is made safe, whole or not at all; its rows are read later, by `factory.orders.read`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from factory.db import copy_rows
from factory.domain.audit_event import AuditAction
from factory.domain.caller import Caller
from factory.domain.expiry import expiry
from factory.domain.row import new_id
from factory.domain.unread_order import UnreadOrder
from factory.errors import Problem, QueueFull
from factory.jobs.batch_order import BatchOrder
from factory.jobs.check_times import check_times
from factory.jobs.log_event import log_event
from factory.jobs.require_room import require_room
from factory.jobs.unread_orders import free_name

PART = 256 * 1024
MOST_UNREAD = 32  # of one tenant: files of fifty megabytes must not pile up
COME_BACK = 10


@dataclass(frozen=True)
class OrderFile:
    """The file of an order as it was sent: `kind` is json, ndjson, csv or xlsx; `address` and `form` what was said beside it."""

    file: IO[bytes]
    kind: str
    sha256: str
    address: dict[str, Any]
    form: dict[str, Any]


def receive_order(
    session: Session,
    now: ColumnElement[Any],
    caller: Caller,
    order: BatchOrder,
    sent: OrderFile,
    *,
    request_sha256: str,
    max_queued: int,
) -> uuid.UUID:
    """In the caller's transaction; returns the batch id. Raises QueueFull, Invalid where its end has passed."""
    require_room(session, now, tenant=caller.tenant, user=order.user or "", default=max_queued)
    _require_few(session, caller.tenant)
    moment = session.execute(select(now)).scalar_one()
    check_times(order, moment)
    expiry(moment, order.expires_at, order.expires_in)
    free_name(session, tenant=caller.tenant, external_id=order.external_id)
    batch = order.as_row(caller, new_id(), moment, request_sha256=request_sha256)
    batch.unread = True
    session.add(batch)
    session.flush()
    unread = UnreadOrder(
        batch_id=batch.id,
        tenant=caller.tenant,
        caller=caller.name,
        network=caller.network,
        kind=sent.kind,
        sha256=sent.sha256,
        bytes=sent.file.seek(0, 2),
        address=sent.address,
        form=sent.form,
        attempts=0,
        lease_until=moment,
    )
    session.add(unread)
    session.flush()
    copy_rows(session, "unread_parts", ["batch_id", "number", "content"], _parts(batch.id, sent.file))
    detail = {"bytes": unread.bytes, "sha256": sent.sha256, "kind": sent.kind}
    log_event(
        session, now=now, tenant=caller.tenant, actor=caller.actor, action=AuditAction.BATCH_RECEIVED, batch_id=batch.id, detail=detail
    )
    return batch.id


def _require_few(session: Session, tenant: str) -> None:
    waiting = session.scalar(select(func.count()).where(UnreadOrder.tenant == tenant)) or 0
    if waiting >= MOST_UNREAD:
        message = f"{waiting} of your orders wait to be read, as many as may; come back in {COME_BACK} s"
        raise QueueFull(message, Problem("queue_full", message, "", waiting), retry_after=COME_BACK, limit=MOST_UNREAD)


def _parts(batch_id: uuid.UUID, file: IO[bytes]) -> Iterator[tuple[uuid.UUID, int, bytes]]:
    file.seek(0)
    number = 0
    while part := file.read(PART):
        yield batch_id, number, part
        number += 1
