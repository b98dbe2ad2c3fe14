"""webhook_endpoints: where a tenant wants to hear what happened: create, list, find, rotate, disable, enable, delete. All audited."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.audit_event import Actor, AuditAction
from factory.domain.row import new_id
from factory.domain.webhook import WebhookDelivery, WebhookEndpoint
from factory.errors import Conflict, Invalid, NotFound, Problem
from factory.jobs.describe_event import check_events
from factory.jobs.disable_endpoint import disable_endpoint
from factory.jobs.log_event import log_event
from factory.jobs.one_at_a_time import wait_for_lock
from factory.notify import open_notifier
from factory.notify.guard import PUBLIC, Reach, check_url
from factory.notify.standard import new_secret

MOST = 20
OVERLAP = timedelta(hours=24)
STANDARD = "standard"


@dataclass(frozen=True)
class NewEndpoint:
    """As ordered. Without a secret of the customer's a standard endpoint gets a fresh one, a robot goes unsigned."""

    kind: str
    url: str
    events: tuple[str, ...]
    secret: str | None = None


def create_endpoint(
    session: Session, now: ColumnElement[Any], *, tenant: str, order: NewEndpoint, actor: Actor, reach: Reach = PUBLIC
) -> WebhookEndpoint:
    """The row, its secret in it. Raises Invalid (url_not_allowed, unknown_event, invalid_secret), Conflict when there are too many."""
    events = check_events(order.events)
    secrets = [secret] if (secret := _secret(order.kind, order.secret)) else []
    check_url(order.url, reach)
    # Two at once must not both be the last one allowed.
    wait_for_lock(session, f"webhooks\x1f{tenant}")
    if (session.scalar(select(func.count()).where(WebhookEndpoint.tenant == tenant)) or 0) >= MOST:
        raise Conflict(f"your tenant has {MOST} webhooks, which is the most; delete one", code="too_many_webhooks")
    endpoint = WebhookEndpoint(id=new_id(), tenant=tenant, kind=order.kind, url=order.url, events=events, secrets=secrets, created_at=now)
    session.add(endpoint)
    session.flush()
    _log(session, now, endpoint, AuditAction.WEBHOOK_CREATED, actor, {"kind": order.kind, "events": events})
    session.refresh(endpoint)
    return endpoint


def list_endpoints(db: Database, *, tenant: str) -> Sequence[WebhookEndpoint]:
    """Newest first; there are few."""
    with db.transaction() as session:
        return session.scalars(select(WebhookEndpoint).where(WebhookEndpoint.tenant == tenant).order_by(WebhookEndpoint.id.desc())).all()


def find_endpoint(db: Database, *, tenant: str, endpoint_id: uuid.UUID) -> WebhookEndpoint:
    """Raises NotFound, also for another tenant's."""
    with db.transaction() as session:
        return endpoint_in(session, tenant=tenant, endpoint_id=endpoint_id)


def endpoint_in(session: Session, *, tenant: str, endpoint_id: uuid.UUID, lock: bool = False) -> WebhookEndpoint:
    """As this transaction sees it. Who changes an endpoint or adds to its deliveries locks it first."""
    statement = select(WebhookEndpoint).where(WebhookEndpoint.tenant == tenant, WebhookEndpoint.id == endpoint_id)
    endpoint = session.scalars(statement.with_for_update() if lock else statement).first()
    if endpoint is None:
        raise NotFound(f"no webhook {endpoint_id} belongs to your tenant")
    return endpoint


def rotate_secret(
    session: Session, now: ColumnElement[Any], *, tenant: str, endpoint_id: uuid.UUID, actor: Actor, secret: str | None = None
) -> WebhookEndpoint:
    """A new secret signs from now on; the one before signs beside it for a day. Robots know only one. Raises NotFound, Invalid."""
    endpoint = endpoint_in(session, tenant=tenant, endpoint_id=endpoint_id, lock=True)
    fresh = _secret(endpoint.kind, secret)
    if fresh is None:
        message = f"a {endpoint.kind} robot's secret is made on its own page; send it as secret"
        raise Invalid(None, Problem("invalid_secret", message, "/secret"))
    endpoint.secrets = [fresh, *(endpoint.secrets[:1] if endpoint.kind == STANDARD else [])]
    endpoint.rotated_at = now
    session.flush()
    _log(session, now, endpoint, AuditAction.WEBHOOK_ROTATED, actor, {})
    session.refresh(endpoint)
    return endpoint


def stop_endpoint(session: Session, now: ColumnElement[Any], *, tenant: str, endpoint_id: uuid.UUID, actor: Actor) -> WebhookEndpoint:
    """Disable it; harmless when it is. What waited is not sent, but kept for a replay. Raises NotFound."""
    endpoint = endpoint_in(session, tenant=tenant, endpoint_id=endpoint_id, lock=True)
    disable_endpoint(session, now, endpoint, why="disabled by its owner", actor=actor)
    return endpoint


def enable_endpoint(session: Session, now: ColumnElement[Any], *, tenant: str, endpoint_id: uuid.UUID, actor: Actor) -> WebhookEndpoint:
    """Harmless when it is enabled. What happened meanwhile comes by a replay. Raises NotFound."""
    endpoint = endpoint_in(session, tenant=tenant, endpoint_id=endpoint_id, lock=True)
    if endpoint.disabled_at is not None:
        endpoint.disabled_at = endpoint.disabled_why = None
        session.flush()
        _log(session, now, endpoint, AuditAction.WEBHOOK_ENABLED, actor, {})
    return endpoint


def delete_endpoint(session: Session, now: ColumnElement[Any], *, tenant: str, endpoint_id: uuid.UUID, actor: Actor) -> None:
    """With its deliveries; the audit log keeps that it was. Raises NotFound."""
    endpoint = endpoint_in(session, tenant=tenant, endpoint_id=endpoint_id, lock=True)
    _log(session, now, endpoint, AuditAction.WEBHOOK_DELETED, actor, {"kind": endpoint.kind})
    session.execute(delete(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint.id))
    session.delete(endpoint)
    session.flush()


def live_secrets(secrets: Sequence[str], rotated_at: datetime | None, now: datetime) -> Sequence[str]:
    """Those that sign now: the newest, and for a day the one before."""
    return secrets if rotated_at is not None and now < rotated_at + OVERLAP else secrets[:1]


def _secret(kind: str, given: str | None) -> str | None:
    notifier = open_notifier(kind)
    if given is not None:
        notifier.check_secret(given)
    return given if given is not None or kind != STANDARD else new_secret()


def _log(
    session: Session, now: ColumnElement[Any], endpoint: WebhookEndpoint, action: AuditAction, actor: Actor, detail: dict[str, Any]
) -> None:
    log_event(session, now=now, tenant=endpoint.tenant, actor=actor, action=action, detail={"webhook": str(endpoint.id), **detail})
