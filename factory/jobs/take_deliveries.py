"""take_deliveries: what is due is taken under a lease, a few of each endpoint, so that a slow receiver holds up nobody else."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, select, true, update

from factory.db import Database, among
from factory.domain.webhook import WebhookDelivery, WebhookEndpoint
from factory.jobs.webhook_endpoints import live_secrets

# Longer than a message can take, its picture's upload included. Whoever vanishes gives it back by then.
LEASE = timedelta(minutes=2)
OF_EACH = 2


@dataclass(frozen=True)
class Taken:
    """A delivery and where it goes. `attempts` counts this one and is the fence: only who made it may write how it ended."""

    id: uuid.UUID
    tenant: str
    endpoint_id: uuid.UUID
    notifier: str
    url: str
    secrets: tuple[str, ...]
    payload: dict[str, Any]
    attempts: int
    created_at: datetime
    now: datetime


def take_deliveries(db: Database, *, limit: int, of_each: int = OF_EACH, busy: Collection[uuid.UUID] = ()) -> list[Taken]:
    """At most `limit`, taken by nobody else until their lease ends. None for the endpoints that are `busy`."""
    now = db.now()
    due = (
        select(WebhookDelivery.id)
        .where(WebhookDelivery.endpoint_id == WebhookEndpoint.id, WebhookDelivery.ended_at.is_(None), WebhookDelivery.due_at <= now)
        .order_by(WebhookDelivery.due_at, WebhookDelivery.id)
        .limit(of_each)
        .with_for_update(skip_locked=True, of=WebhookDelivery)
        .correlate(WebhookEndpoint)
        .lateral("due")
    )
    # In no order among endpoints: the first by any order would be first each time.
    picked = select(due.c.id).select_from(WebhookEndpoint).join(due, true())
    picked = picked.where(WebhookEndpoint.disabled_at.is_(None), ~among(WebhookEndpoint.id, busy))
    with db.transaction() as session:
        chosen = session.scalars(picked.order_by(func.random()).limit(limit)).all()
        if not chosen:
            return []
        rows = session.execute(
            update(WebhookDelivery)
            .where(among(WebhookDelivery.id, chosen))
            .values(due_at=now + LEASE, attempts=WebhookDelivery.attempts + 1)
            .returning(
                WebhookDelivery.id,
                WebhookDelivery.endpoint_id,
                WebhookDelivery.payload,
                WebhookDelivery.attempts,
                WebhookDelivery.created_at,
            )
            .execution_options(synchronize_session=False)
        ).all()
        moment = session.execute(select(now)).scalar_one()
        wanted = select(WebhookEndpoint).where(among(WebhookEndpoint.id, {row.endpoint_id for row in rows}))
        endpoints = {endpoint.id: endpoint for endpoint in session.scalars(wanted)}
    return [_taken(row, endpoints[row.endpoint_id], moment) for row in rows]


def _taken(row: Row[Any], endpoint: WebhookEndpoint, moment: datetime) -> Taken:
    return Taken(
        id=row.id,
        tenant=endpoint.tenant,
        endpoint_id=endpoint.id,
        notifier=endpoint.kind,
        url=endpoint.url,
        secrets=tuple(live_secrets(endpoint.secrets, endpoint.rotated_at, moment)),
        payload=row.payload,
        attempts=row.attempts,
        created_at=row.created_at,
        now=moment,
    )
