"""Webhooks: tell programs and chats what happened, show what was told, and tell it again."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session
from starlette.responses import Response

from factory.api import represent
from factory.api import webhook_bodies as bodies
from factory.api.answers import Json
from factory.api.body import Small
from factory.api.cursors import read_uuid
from factory.api.deps import Config, Db, Reader, To, Writer
from factory.api.links import Links
from factory.api.once import Key, request_hash
from factory.api.read_body import read_body
from factory.db import Database
from factory.jobs import find_deliveries, replay_deliveries, webhook_endpoints
from factory.jobs.answer_once import Answer, answer_once
from factory.notify.guard import Reach, read_networks

router = APIRouter(prefix="/api/v1/webhooks", tags=["webhooks"])
DOC: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": bodies.WebhookOrder.model_json_schema()}}}
}
Change = Callable[[Session, ColumnElement[Any]], Answer]
Carry = Callable[[Change], Response]


def _carry(request: Request, caller: Writer, db: Db, content: Small, key: Key) -> Carry:
    """Carries a change out once, however often it is sent with one Idempotency-Key."""
    sha256 = request_hash(request, hashlib.sha256(content).hexdigest())

    def carry(change: Change) -> Response:
        answer = answer_once(db, tenant=caller.tenant, key=f"key:{key}" if key else None, request_sha256=sha256, act=change)
        return Json(answer.body, answer.status_code, {"Idempotent-Replayed": "true"} if answer.replayed else None)

    return carry


Once = Annotated[Carry, Depends(_carry)]


def _reach(settings: Config) -> Reach:
    return Reach(read_networks(settings.webhook_networks), plain_http=settings.webhook_plain_http)


Reachable = Annotated[Reach, Depends(_reach)]


@router.post("", status_code=201, openapi_extra=DOC)
def post_webhook(caller: Writer, content: Small, once: Once, links: To, reach: Reachable) -> Response:
    """The secret is shown here and after a rotation, and nowhere else."""
    order = read_body(bodies.WebhookOrder, content)
    wanted = webhook_endpoints.NewEndpoint(order.kind, order.url, tuple(order.events), order.secret)

    def create(session: Session, now: ColumnElement[Any]) -> Answer:
        made = webhook_endpoints.create_endpoint(session, now, tenant=caller.tenant, order=wanted, actor=caller.actor, reach=reach)
        return Answer(201, bodies.endpoint(made, links, with_secret=True))

    return once(create)


@router.get("")
def get_webhooks(caller: Reader, db: Db, links: To) -> Response:
    """All of the tenant's."""
    found = webhook_endpoints.list_endpoints(db, tenant=caller.tenant)
    return Json(represent.page([bodies.endpoint(one, links) for one in found], None, limit=webhook_endpoints.MOST))


@router.get("/{webhook_id}")
def get_webhook(webhook_id: uuid.UUID, caller: Reader, db: Db, links: To) -> Response:
    """Without its secret."""
    return Json(bodies.endpoint(webhook_endpoints.find_endpoint(db, tenant=caller.tenant, endpoint_id=webhook_id), links))


@router.delete("/{webhook_id}", status_code=204)
def delete_webhook(webhook_id: uuid.UUID, caller: Writer, db: Db) -> Response:
    """With all its deliveries."""
    with db.transaction() as session:
        webhook_endpoints.delete_endpoint(session, db.now(), tenant=caller.tenant, endpoint_id=webhook_id, actor=caller.actor)
    return Response(status_code=204)


@router.post("/{webhook_id}/rotate")
def post_rotate(webhook_id: uuid.UUID, caller: Writer, db: Db, content: Small, once: Once, links: To) -> Response:
    """A new secret; the one before signs beside it for 24 hours."""
    webhook_endpoints.find_endpoint(db, tenant=caller.tenant, endpoint_id=webhook_id)
    order = read_body(bodies.RotationOrder, content)

    def rotate(session: Session, now: ColumnElement[Any]) -> Answer:
        rotated = webhook_endpoints.rotate_secret(
            session, now, tenant=caller.tenant, endpoint_id=webhook_id, actor=caller.actor, secret=order.secret
        )
        return Answer(200, bodies.endpoint(rotated, links, with_secret=True))

    return once(rotate)


@router.post("/{webhook_id}/disable")
def post_disable(webhook_id: uuid.UUID, caller: Writer, db: Db, links: To) -> Response:
    """Nothing more is sent; what waits ends unsent."""
    return _changed(db, links, webhook_endpoints.stop_endpoint, tenant=caller.tenant, endpoint_id=webhook_id, actor=caller.actor)


@router.post("/{webhook_id}/enable")
def post_enable(webhook_id: uuid.UUID, caller: Writer, db: Db, links: To) -> Response:
    """New events are sent again; older ones after `replay`."""
    return _changed(db, links, webhook_endpoints.enable_endpoint, tenant=caller.tenant, endpoint_id=webhook_id, actor=caller.actor)


@router.post("/{webhook_id}/test", status_code=202)
def post_test(webhook_id: uuid.UUID, caller: Writer, once: Once, links: To) -> Response:
    """Sends a `ping` within seconds; its delivery tells how that went."""

    def ping(session: Session, now: ColumnElement[Any]) -> Answer:
        made = replay_deliveries.ping_endpoint(session, now, tenant=caller.tenant, endpoint_id=webhook_id, public_url=links.public_url)
        return Answer(202, bodies.delivery(made, links))

    return once(ping)


@router.post("/{webhook_id}/replay", status_code=202)
def post_replay(webhook_id: uuid.UUID, caller: Writer, db: Db, content: Small, once: Once, links: To) -> Response:
    """Everything since `since` that was not acknowledged, also what was never sent."""
    webhook_endpoints.find_endpoint(db, tenant=caller.tenant, endpoint_id=webhook_id)
    order = read_body(bodies.ReplayOrder, content)

    def replay(session: Session, now: ColumnElement[Any]) -> Answer:
        replayed = replay_deliveries.replay_since(
            session, now, tenant=caller.tenant, endpoint_id=webhook_id, since=order.since, public_url=links.public_url
        )
        return Answer(202, {"object": "replay", "replayed": replayed})

    return once(replay)


@router.get("/{webhook_id}/deliveries")
def get_deliveries(webhook_id: uuid.UUID, wanted: Annotated[bodies.DeliveryQuery, Query()], caller: Reader, db: Db, links: To) -> Response:
    """Newest first."""
    found = find_deliveries.list_deliveries(
        db,
        tenant=caller.tenant,
        endpoint_id=webhook_id,
        unacknowledged=wanted.unacknowledged,
        before=read_uuid(wanted.cursor),
        limit=wanted.limit,
    )
    return Json(represent.page([bodies.delivery(one, links) for one in found], found[-1].id if found else None, limit=wanted.limit))


@router.get("/{webhook_id}/deliveries/{delivery_id}")
def get_delivery(webhook_id: uuid.UUID, delivery_id: str, caller: Reader, db: Db, links: To) -> Response:
    """What was sent, and what came back."""
    found = find_deliveries.find_delivery(db, tenant=caller.tenant, endpoint_id=webhook_id, delivery_id=delivery_id)
    return Json(bodies.delivery(found, links))


@router.post("/{webhook_id}/deliveries/{delivery_id}/replay", status_code=202)
def post_replay_delivery(webhook_id: uuid.UUID, delivery_id: str, caller: Writer, once: Once, links: To) -> Response:
    """This one again, acknowledged or not."""

    def replay(session: Session, now: ColumnElement[Any]) -> Answer:
        again = replay_deliveries.replay_delivery(session, now, tenant=caller.tenant, endpoint_id=webhook_id, delivery_id=delivery_id)
        return Answer(202, bodies.delivery(again, links))

    return once(replay)


def _changed(db: Database, links: Links, change: Callable[..., Any], **which: Any) -> Response:
    with db.transaction() as session:
        return Json(bodies.endpoint(change(session, db.now(), **which), links))
