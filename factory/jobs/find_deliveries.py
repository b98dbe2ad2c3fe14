"""find_deliveries: what was sent to an endpoint, what came of it, and what its receiver never acknowledged."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from sqlalchemy import ColumnElement, exists, false, not_, select
from sqlalchemy.orm import Session, aliased

from factory.db import Database
from factory.domain.webhook import WebhookDelivery, WebhookEndpoint
from factory.errors import NotFound
from factory.jobs.webhook_endpoints import endpoint_in


def list_deliveries(
    db: Database,
    *,
    tenant: str,
    endpoint_id: uuid.UUID,
    unacknowledged: bool = False,
    before: uuid.UUID | None = None,
    limit: int = 50,
) -> Sequence[WebhookDelivery]:
    """Newest first. Raises NotFound for an endpoint that is not the tenant's."""
    where = [WebhookDelivery.tenant == tenant, WebhookDelivery.endpoint_id == endpoint_id]
    where += [*([not_acknowledged()] if unacknowledged else []), *([WebhookDelivery.id < before] if before else [])]
    with db.transaction() as session:
        endpoint_in(session, tenant=tenant, endpoint_id=endpoint_id)
        return session.scalars(select(WebhookDelivery).where(*where).order_by(WebhookDelivery.id.desc()).limit(limit)).all()


def find_delivery(db: Database, *, tenant: str, endpoint_id: uuid.UUID, delivery_id: str) -> WebhookDelivery:
    """Raises NotFound, also for another tenant's."""
    with db.transaction() as session:
        return delivery_in(session, endpoint_in(session, tenant=tenant, endpoint_id=endpoint_id), delivery_id)


def delivery_in(session: Session, endpoint: WebhookEndpoint, delivery_id: str) -> WebhookDelivery:
    """Locked against whoever wants to end it at the same moment. Raises NotFound."""
    try:
        mine = [WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.id == uuid.UUID(delivery_id)]
    except ValueError:
        mine = [false()]
    found = session.scalars(select(WebhookDelivery).where(*mine).with_for_update()).first()
    if found is None:
        raise NotFound(f"no delivery {delivery_id[:80]!r} of this webhook belongs to your tenant")
    return found


def not_acknowledged() -> ColumnElement[bool]:
    """No delivery of the same event to the same endpoint was taken, this one or a replay of it."""
    other = aliased(WebhookDelivery)
    return not_(
        exists().where(other.endpoint_id == WebhookDelivery.endpoint_id, other.event_id == WebhookDelivery.event_id, other.succeeded)
    )
