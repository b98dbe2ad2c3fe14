"""submit_job: one order becomes one queued job."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import Session

from factory.domain.audit_event import AuditEvent
from factory.domain.caller import Caller
from factory.domain.job import Job
from factory.domain.status import Priority
from factory.jobs.admit import Admitted
from factory.jobs.apply_caps import apply_caps
from factory.jobs.change_status import EVENT_COLUMNS
from factory.jobs.new_job import Placement, job_columns, kind_of, order_columns, submitted_events, take_numbers
from factory.jobs.shares import count_kinds, places

DEFAULT_PROJECT = "default"


def submit_job(
    session: Session,
    now: ColumnElement[Any],
    caller: Caller,
    admitted: Admitted,
    *,
    request_sha256: str | None = None,
) -> uuid.UUID:
    """Record an admitted order in the caller's transaction; returns the id of the job."""
    moment = session.execute(select(now)).scalar_one()
    placement = Placement(moment, admitted.order.project or DEFAULT_PROJECT, priority=Priority.INTERACTIVE)
    seq = take_numbers(session, caller, placement, 1)
    ordered = order_columns(admitted)
    kind = kind_of(ordered, placement)
    with places(session, caller.tenant, count_kinds([kind]), long=False) as tags:
        columns = job_columns(ordered, caller, placement, kind, tags.next(kind), seq=seq, row_no=0)
        session.execute(insert(Job).values(**columns, request_sha256=request_sha256).inline())
    job_id: uuid.UUID = columns["id"]
    session.execute(insert(AuditEvent).from_select(EVENT_COLUMNS, submitted_events(now, caller.actor).where(Job.id == job_id)))
    apply_caps(session, now, tenant=caller.tenant, job_id=job_id)
    return job_id
