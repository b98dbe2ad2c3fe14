"""replay_deliveries: one delivery again, everything that was not acknowledged since a time, or a ping to try an endpoint out."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Row, exists, func, literal, select, tuple_, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from factory.domain.audit_event import AuditEvent
from factory.domain.row import new_id
from factory.domain.webhook import WebhookCursor, WebhookDelivery, WebhookEndpoint
from factory.errors import Conflict
from factory.jobs.describe_event import api_link, names_of, told, wants
from factory.jobs.find_deliveries import delivery_in
from factory.jobs.forget_deliveries import KEPT_FOR
from factory.jobs.plan_deliveries import delivery_of, events_with_links
from factory.jobs.webhook_endpoints import endpoint_in

PAGE = 500
MOST = 10_000
PING = 0  # the event of every ping: none


def replay_delivery(session: Session, now: ColumnElement[Any], *, tenant: str, endpoint_id: uuid.UUID, delivery_id: str) -> WebhookDelivery:
    """One that waits is due at once; one that has ended goes out again under a new id. Raises NotFound, Conflict when disabled."""
    endpoint = _enabled(session, tenant, endpoint_id)
    found = delivery_in(session, endpoint, delivery_id)
    if found.ended_at is None:
        found.due_at = now
        session.flush()
        session.refresh(found)
        return found
    return _again(session, now, endpoint, found.event_id, found.kind, found.payload)


def ping_endpoint(session: Session, now: ColumnElement[Any], *, tenant: str, endpoint_id: uuid.UUID, public_url: str) -> WebhookDelivery:
    """Something to receive. Raises NotFound, Conflict when disabled."""
    endpoint = _enabled(session, tenant, endpoint_id)
    links = {"self": api_link(public_url, "webhooks", endpoint.id)}
    data = {"object": "webhook", "id": str(endpoint.id), "events": endpoint.events, "links": links}
    payload = told("ping", session.execute(select(now)).scalar_one(), data)
    return _again(session, now, endpoint, PING, "ping", payload)


def replay_since(
    session: Session, now: ColumnElement[Any], *, tenant: str, endpoint_id: uuid.UUID, since: datetime, public_url: str
) -> int:
    """Every event since then that the filter lets through and the receiver never took, given up or never sent. Returns how many.

    None from before there was the endpoint, and none from longer ago than deliveries are kept: whether those were taken is forgotten.
    Those still on their way become due at once. At most 10 000 in one call, the newest ones. Raises NotFound, Conflict when disabled.
    """
    endpoint = _enabled(session, tenant, endpoint_id)
    waiting = [WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.ended_at.is_(None), WebhookDelivery.created_at >= since]
    hurried = session.execute(
        update(WebhookDelivery)
        .where(*waiting)
        .values(due_at=now)
        .returning(WebhookDelivery.id)
        .execution_options(synchronize_session=False)
    ).all()
    moment = session.execute(select(now)).scalar_one()
    replayed, before = 0, 2**63 - 1
    oldest = max(since, endpoint.created_at, moment - KEPT_FOR)
    while replayed < MOST and (page := _events_before(session, endpoint, before, oldest)):
        missed = [row for row in page if wants(endpoint.events, names_of(row)) and not row.settled]
        if missed:
            again = [delivery_of(row, endpoint, moment, public_url, replay=row.replays) for row in missed]
            session.execute(insert(WebhookDelivery).on_conflict_do_nothing(), again)
        replayed, before = replayed + len(missed), page[-1].id
    return len(hurried) + replayed


def _events_before(session: Session, endpoint: WebhookEndpoint, before: int, since: datetime) -> Sequence[Row[Any]]:
    """A page of the tenant's events, newest first, each with the number its replay would have, and whether one was taken or waits.

    Only what the planner has read: what it has not, it will plan itself; and only what it would have planned for this endpoint.
    """
    cursor = session.get_one(WebhookCursor, 1)
    planned = tuple_(AuditEvent.tx, AuditEvent.id) <= tuple_(literal(cursor.tx, BigInteger), literal(cursor.event_id, BigInteger))
    chosen = select(*AuditEvent.__table__.columns).where(
        AuditEvent.tenant == endpoint.tenant, AuditEvent.id < before, AuditEvent.at >= since, planned
    )
    statement = events_with_links(chosen.order_by(AuditEvent.id.desc()).limit(PAGE))
    event = statement.selected_columns
    same = [WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.event_id == event.id]
    done = exists().where(*same, WebhookDelivery.succeeded | WebhookDelivery.ended_at.is_(None))
    replays = select(func.coalesce(func.max(WebhookDelivery.replay) + 1, 0)).where(*same).scalar_subquery()
    statement = statement.add_columns(done.label("settled"), replays.label("replays")).order_by(event.id.desc())
    return session.execute(statement).all()


def _again(
    session: Session, now: ColumnElement[Any], endpoint: WebhookEndpoint, event_id: int, kind: str, payload: dict[str, Any]
) -> WebhookDelivery:
    same = [WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.event_id == event_id]
    delivery = WebhookDelivery(
        id=new_id(),
        tenant=endpoint.tenant,
        endpoint_id=endpoint.id,
        event_id=event_id,
        replay=session.scalar(select(func.coalesce(func.max(WebhookDelivery.replay) + 1, 0)).where(*same)),
        kind=kind,
        payload=payload,
        attempts=0,
        due_at=now,
        created_at=now,
        succeeded=False,
    )
    session.add(delivery)
    session.flush()
    session.refresh(delivery)
    return delivery


def _enabled(session: Session, tenant: str, endpoint_id: uuid.UUID) -> WebhookEndpoint:
    endpoint = endpoint_in(session, tenant=tenant, endpoint_id=endpoint_id, lock=True)
    if endpoint.disabled_at is not None:
        raise Conflict(f"this webhook is disabled ({endpoint.disabled_why}); enable it first", code="webhook_disabled")
    return endpoint
