"""log_refusal: a prompt that a rule refused leaves a line in the audit log, though no job was made."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from factory.domain.audit_event import AuditAction
from factory.domain.caller import Caller
from factory.errors import Refused
from factory.jobs.admit import Admitted
from factory.jobs.end_attempt import describe
from factory.jobs.log_event import log_event


def log_refusal(session: Session, now: ColumnElement[Any], caller: Caller, admitted: Admitted, refusal: Refused) -> None:
    """In the caller's transaction, beside the answer that a repeat will get."""
    log_event(
        session,
        now=now,
        tenant=caller.tenant,
        actor=caller.actor,
        action=AuditAction.PROMPT_REJECTED,
        sku=admitted.order.sku,
        detail={**describe(refusal), "requested": admitted.order.model_dump(mode="json", exclude_unset=True)},
    )
