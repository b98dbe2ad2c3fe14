"""submit_job: one order becomes one queued job."""

from __future__ import annotations

import uuid
from typing import Any

from sqlalchemy import ColumnElement, insert, select
from sqlalchemy.orm import Session

from factory.domain.audit_event import AuditEvent
from factory.domain.caller import Caller
from factory.domain.job import Job
from factory.domain.status import Lane
from factory.jobs.admit import Admitted
from factory.jobs.change_status import EVENT_COLUMNS
from factory.jobs.new_job import Placement, job_columns, order_columns, submitted_events, take_numbers

DEFAULT_PROJECT = "default"


def submit_job(
    session: Session, now: ColumnElement[Any], caller: Caller, admitted: Admitted, *, request_sha256: str | None = None
) -> uuid.UUID:
    """Record an admitted order in the caller's transaction; returns the id of the job."""
    placement = Placement(session.execute(select(now)).scalar_one(), admitted.order.project or DEFAULT_PROJECT, lane=Lane.INTERACTIVE)
    seq = take_numbers(session, caller, placement, 1)
    columns = job_columns(order_columns(admitted), caller, placement, seq=seq, row_no=0)
    session.execute(insert(Job).values(**columns, request_sha256=request_sha256).inline())
    job_id: uuid.UUID = columns["id"]
    session.execute(insert(AuditEvent).from_select(EVENT_COLUMNS, submitted_events(now, caller.actor).where(Job.id == job_id)))
    return job_id
