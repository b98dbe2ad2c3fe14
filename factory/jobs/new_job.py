"""What a new job's row holds, and the event that says it was ordered."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal, null, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from factory.domain.audit_event import Actor, AuditAction
from factory.domain.caller import Caller
from factory.domain.job import Job
from factory.domain.row import new_id
from factory.domain.status import JobStatus, Lane
from factory.domain.tenant import NameCounter
from factory.jobs.admit import Admitted
from factory.jobs.end_attempt import describe

SHORT_ORDER = 500


@dataclass(frozen=True)
class Placement:
    """Where a job belongs. `moment` is the database's time of the order."""

    moment: datetime
    project: str
    batch_id: uuid.UUID | None = None
    lane: Lane = Lane.BULK

    @property
    def day(self) -> date:
        return self.moment.astimezone(UTC).date()


def order_columns(admitted: Admitted) -> dict[str, Any]:
    """The columns that the order alone decides: plain JSON values, so that they can wait in a file."""
    order, refusal = admitted.order, admitted.refusal
    return {
        "external_id": order.external_id,
        "sku": order.sku,
        "status": (JobStatus.REJECTED if refusal else JobStatus.QUEUED).value,
        "lane": order.priority.value if order.priority else None,
        "checkpoint": admitted.spec.checkpoint,
        "requested": order.model_dump(mode="json", exclude_unset=True),
        "spec": admitted.spec.as_json(),
        "warnings": admitted.warnings,
        "error": describe(refusal) if refusal else None,
        "end_user": order.user,
        "campaign": order.campaign,
        "cost_centre": order.cost_centre,
        "tags": order.tags,
        "customer_metadata": order.metadata,
        "expires_in": order.expires_in,
    }


def job_columns(ordered: Mapping[str, Any], caller: Caller, placement: Placement, *, seq: int, row_no: int) -> dict[str, Any]:
    """Every column of a new row that is not NULL by nature."""
    columns = dict(ordered)
    expires_in = columns.pop("expires_in")
    moment = placement.moment
    return columns | {
        "id": new_id(),
        "tenant": caller.tenant,
        "key_id": caller.key_id,
        "network": caller.network,
        "batch_id": placement.batch_id,
        "row_no": row_no,
        "project": placement.project,
        "day": placement.day,
        "seq": seq,
        "lane": columns["lane"] or placement.lane.value,
        # Until shares are fair, the virtual finish time is the time of the order; rows of one order keep their order.
        "vft": moment.timestamp() + row_no * 1e-6,
        "attempt": 0,
        "lost_leases": 0,
        "failures": 0,
        "expires_at": moment + timedelta(seconds=expires_in) if expires_in else None,
        "created_at": moment,
        "finished_at": moment if columns["status"] == JobStatus.REJECTED.value else None,
    }


@contextmanager
def numbers(session: Session, caller: Caller, placement: Placement, count: int) -> Iterator[int]:
    """The first of `count` consecutive file numbers, for the block that writes them.

    A short order keeps the counter's row locked until its commit, so there are no gaps. A long one would make everybody
    in its project wait for its rows: it takes its numbers in a transaction of its own and gives them back if it fails, unless
    somebody has taken the next ones meanwhile.
    """
    if count <= SHORT_ORDER:
        yield take_numbers(session, caller, placement, count)
        return
    with Session(session.get_bind()) as own, own.begin():
        first = take_numbers(own, caller, placement, count)
    try:
        yield first
    except BaseException:
        with Session(session.get_bind()) as own, own.begin():
            mine = (NameCounter.tenant == caller.tenant, NameCounter.project == placement.project, NameCounter.day == placement.day)
            own.execute(update(NameCounter).where(*mine, NameCounter.last == first + count - 1).values(last=first - 1))
        raise


def take_numbers(session: Session, caller: Caller, placement: Placement, count: int) -> int:
    """The first of `count` consecutive file numbers; the counter's row stays locked until commit."""
    statement = insert(NameCounter).values(tenant=caller.tenant, project=placement.project, day=placement.day, last=count)
    raised = statement.on_conflict_do_update(
        index_elements=[NameCounter.tenant, NameCounter.project, NameCounter.day], set_={"last": NameCounter.last + count}
    ).returning(NameCounter.last)
    return session.execute(raised).scalar_one() - count + 1


def submitted_events(now: ColumnElement[Any], actor: Actor) -> Select[Any]:
    """The first event of each new job, read from its row, in the order of EVENT_COLUMNS; the caller says which jobs."""
    refused = Job.status == JobStatus.REJECTED.value
    return select(
        now,
        Job.tenant,
        literal(actor.kind),
        literal(actor.name),
        case((refused, AuditAction.PROMPT_REJECTED.value), else_=AuditAction.JOB_SUBMITTED.value),
        Job.batch_id,
        Job.id,
        Job.attempt,
        Job.sku,
        null(),
        Job.status,
        func.coalesce(Job.error, func.jsonb_build_object()),
    )
