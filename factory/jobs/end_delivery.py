"""end_delivery: what became of one attempt: delivered, tried again later, given up, or the whole endpoint disabled."""

from __future__ import annotations

import random
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, exists, select, update
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.webhook import WebhookDelivery, WebhookEndpoint
from factory.jobs.disable_endpoint import disable_endpoint
from factory.jobs.take_deliveries import Taken
from factory.notify.message import Outcome

UPKEEP = Actor("upkeep", "deliver_webhooks")
SECOND, MINUTE, HOUR = 1, 60, 3600
# What Standard Webhooks recommends: seconds before each attempt, about 75 hours together.
LADDER = (0, 5 * SECOND, 5 * MINUTE, 30 * MINUTE, 2 * HOUR, 5 * HOUR, 10 * HOUR, 14 * HOUR, 20 * HOUR, 24 * HOUR)
JITTER = 0.1
LONGEST_WAIT = 24 * HOUR


def wait_before(attempt: int, retry_after: float | None = None) -> timedelta:
    """Before attempt 2, 3, …: a rung of the ladder with jitter; longer when the receiver asked for it, up to a day."""
    rung = LADDER[attempt - 1] * random.uniform(1 - JITTER, 1 + JITTER)
    return timedelta(seconds=max(rung, min(retry_after or 0.0, LONGEST_WAIT)))


def end_delivery(db: Database, taken: Taken, outcome: Outcome) -> bool:
    """Write it down. False when this attempt no longer counted: its lease had ended, or the endpoint was disabled or deleted."""
    now = db.now()
    last = taken.attempts >= len(LADDER)
    ends = outcome.delivered or outcome.gone or last
    with db.transaction() as session:
        endpoint = _locked(session, taken) if ends and not outcome.delivered else None
        answer = {"code": outcome.code, "detail": outcome.detail, "status": outcome.status, "seconds": outcome.seconds}
        after = {"ended_at": now} if ends else {"due_at": now + wait_before(taken.attempts + 1, outcome.retry_after)}
        mine = [WebhookDelivery.id == taken.id, WebhookDelivery.attempts == taken.attempts, WebhookDelivery.ended_at.is_(None)]
        written = session.execute(
            update(WebhookDelivery)
            .where(*mine)
            .values(succeeded=outcome.delivered, answer=answer, **after)
            .returning(WebhookDelivery.id)
            .execution_options(synchronize_session=False)
        ).first()
        if written is not None and endpoint is not None:
            _give_up(session, now, endpoint, taken, outcome)
    return written is not None


def _locked(session: Session, taken: Taken) -> WebhookEndpoint | None:
    """The endpoint before its deliveries, everywhere in this order, so that nobody waits in a circle."""
    return session.scalars(select(WebhookEndpoint).where(WebhookEndpoint.id == taken.endpoint_id).with_for_update()).first()


def _give_up(session: Session, now: ColumnElement[Any], endpoint: WebhookEndpoint, taken: Taken, outcome: Outcome) -> None:
    """410 means never again. So do three days in which nothing was taken; what one event did not like is its own matter."""
    said = f"{outcome.status or ''} {outcome.detail or outcome.code}".strip()
    if outcome.gone:
        disable_endpoint(session, now, endpoint, why=f"the receiver is gone: {said}", actor=UPKEEP)
        return
    taken_since = exists().where(
        WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.succeeded, WebhookDelivery.ended_at >= taken.created_at
    )
    if not session.scalar(select(taken_since)):
        why = f"nothing was taken since {taken.created_at:%Y-%m-%d %H:%M}Z, {taken.attempts} attempts each; the last answer: {said}"
        disable_endpoint(session, now, endpoint, why=why, actor=UPKEEP)
