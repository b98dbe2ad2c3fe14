"""An order sent again: the stored answer, the present state, or a clear no. Never a second order."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from sqlalchemy.exc import IntegrityError

from factory.db import Database
from factory.errors import Conflict, Invalid
from factory.jobs.answer_once import Act, Answer, answer_once, recall

# How long a client waits does not change what it orders.
NOT_PART_OF_THE_ORDER = frozenset({"wait"})


async def _key(
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=255, description="a repeat with this key is carried out once")
    ] = None,
) -> str | None:
    return idempotency_key


Key = Annotated[str | None, Depends(_key)]


@dataclass(frozen=True)
class Once:
    """What makes two requests the same one, byte for byte. `key` is the client's `Idempotency-Key`."""

    tenant: str
    key: str | None
    request_sha256: str

    @property
    def stored_as(self) -> str | None:
        return f"key:{self.key}" if self.key else None


def request_hash(request: Request, content_sha256: str) -> str:
    """Over method, path, query and content."""
    query = sorted(said_in_address(request))
    return hashlib.sha256(repr((request.method, request.url.path, query, content_sha256)).encode()).hexdigest()


def said_in_address(request: Request) -> list[tuple[str, str]]:
    """What the address says of an order, repeated names too."""
    return [pair for pair in request.query_params.multi_items() if pair[0] not in NOT_PART_OF_THE_ORDER]


def order_once(db: Database, once: Once, *, prepare: Callable[[], tuple[str | None, Act]], existing: Callable[[], Answer | None]) -> Answer:
    """`prepare` checks the order and says under which name of the client's it goes (None: none) and how to carry it out.

    `existing` is the answer for an order that has this name already; where the name is known before, nothing is checked anew. Raises Conflict while the same order is at work.
    """
    if once.stored_as and (stored := recall(db, tenant=once.tenant, key=once.stored_as, request_sha256=once.request_sha256)):
        return stored
    if present := existing():
        return present
    name, act = prepare()
    if name and (present := existing()):
        return present
    try:
        return answer_once(db, tenant=once.tenant, key=once.stored_as or name, request_sha256=once.request_sha256, act=act)
    except IntegrityError as fault:
        if name and (present := existing()):
            return present
        message = "another order with one of these external ids was committed at the same moment; send this one again"
        raise Conflict(message, code="request_in_flight") from fault


def same_order(external_id: str, before: str | None, once: Once, body: Callable[[], dict[str, Any]]) -> Answer:
    """The present state of an order that was sent before. Raises Invalid when the name came with another order."""
    if before != once.request_sha256:
        message = f"external_id {external_id!r} belongs to another order; send the same request, or choose a new id"
        raise Invalid(message, code="external_id_reused")
    return Answer(200, body(), replayed=True)
