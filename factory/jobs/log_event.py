"""Write an audit event that changes no status: an order taken, a prompt refused, a key made."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import ColumnElement, insert
from sqlalchemy.orm import Session

from factory.domain.audit_event import Actor, AuditAction, AuditEvent


def log_event(
    session: Session,
    *,
    now: ColumnElement[Any],
    tenant: str,
    actor: Actor,
    action: AuditAction,
    batch_id: uuid.UUID | None = None,
    job_id: uuid.UUID | None = None,
    sku: str | None = None,
    detail: dict[str, Any] | None = None,
) -> None:
    """One line, in the caller's transaction."""
    session.execute(
        insert(AuditEvent)
        .values(
            at=now,
            tenant=tenant,
            actor_kind=actor.kind,
            actor=actor.name,
            action=action.value,
            batch_id=batch_id,
            job_id=job_id,
            sku=sku,
            detail=detail or {},
        )
        .inline()
    )
