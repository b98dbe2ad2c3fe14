"""forget_deliveries: deliveries of a month ago, and secrets that have not signed for a day, are gone."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from sqlalchemy import delete, func, select, update

from factory.db import Database
from factory.domain.webhook import WebhookDelivery, WebhookEndpoint
from factory.jobs.webhook_endpoints import OVERLAP

KEPT_FOR = timedelta(days=30)
CHUNK = 5000


def forget_deliveries(db: Database, *, kept_for: timedelta = KEPT_FOR) -> int:
    """Returns how many deliveries. In pieces, so that no lock is held for long."""
    now = db.now()
    with db.transaction() as session:
        stale = [WebhookEndpoint.rotated_at <= now - OVERLAP, func.cardinality(WebhookEndpoint.secrets) > 1]
        newest = func.trim_array(WebhookEndpoint.secrets, func.cardinality(WebhookEndpoint.secrets) - 1)
        session.execute(update(WebhookEndpoint).where(*stale).values(secrets=newest).execution_options(synchronize_session=False))
        before = first_id(session.execute(select(now - kept_for)).scalar_one())
    gone = 0
    while True:
        with db.transaction() as session:
            old = select(WebhookDelivery.id).where(WebhookDelivery.id < before, WebhookDelivery.ended_at.is_not(None))
            gone_now = session.execute(
                delete(WebhookDelivery)
                .where(WebhookDelivery.id.in_(old.order_by(WebhookDelivery.id).limit(CHUNK)))
                .returning(WebhookDelivery.id)
                .execution_options(synchronize_session=False)
            ).all()
        gone += len(gone_now)
        if len(gone_now) < CHUNK:
            return gone


def first_id(moment: datetime) -> uuid.UUID:
    """The least UUIDv7 of this millisecond: ids begin with their time, and so does their index."""
    return uuid.UUID(int=int(moment.timestamp() * 1000) << 80)
