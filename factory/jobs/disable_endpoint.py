"""disable_endpoint: nothing more is sent there, and the log says why."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, update
from sqlalchemy.orm import Session

from factory.domain.audit_event import Actor, AuditAction
from factory.domain.webhook import WebhookDelivery, WebhookEndpoint
from factory.jobs.log_event import log_event

UNSENT = {"code": "endpoint_disabled", "detail": "The webhook was disabled before this was delivered; enable it and replay."}


def disable_endpoint(session: Session, now: ColumnElement[Any], endpoint: WebhookEndpoint, *, why: str, actor: Actor) -> bool:
    """In the caller's transaction, which holds the endpoint's lock. Deliveries that wait end unsent. False when it was disabled before."""
    if endpoint.disabled_at is not None:
        return False
    endpoint.disabled_at = now
    endpoint.disabled_why = why
    session.flush()
    session.execute(
        update(WebhookDelivery)
        .where(WebhookDelivery.endpoint_id == endpoint.id, WebhookDelivery.ended_at.is_(None))
        .values(ended_at=now, answer=UNSENT)
        .execution_options(synchronize_session=False)
    )
    detail = {"webhook": str(endpoint.id), "why": why}
    log_event(session, now=now, tenant=endpoint.tenant, actor=actor, action=AuditAction.WEBHOOK_DISABLED, detail=detail)
    session.refresh(endpoint)
    return True
