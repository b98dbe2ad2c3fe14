"""What a new job's row holds, and the event that says it was ordered."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from typing import Any

from sqlalchemy import ColumnElement, Select, case, func, literal, null, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from factory.domain.audit_event import Actor, AuditAction
from factory.domain.caller import Caller
from factory.domain.generation_spec import sha256_of
from factory.domain.job import Job
from factory.domain.job_order import JobOrder
from factory.domain.row import new_id
from factory.domain.status import Hold, JobStatus, Priority
from factory.domain.tenant import NameCounter
from factory.jobs.admit import Admitted
from factory.jobs.end_attempt import describe
from factory.jobs.shares import Kind, Tag

SHORT_ORDER = 500
Wanted = tuple[str | None, str | None, str, int]  # priority, user, checkpoint, pixels


@dataclass(frozen=True)
class Placement:
    """Where a job belongs. `moment` is the database's time now; the rest holds for rows that do not say it themselves.

    What counts from the order counts from `ordered_at`, where that was before. `catalogue`: every row has a cell, also one that names no slot, locale or candidate.
    """

    moment: datetime
    project: str
    batch_id: uuid.UUID | None = None
    priority: Priority = Priority.BULK
    not_before: datetime | None = None
    deadline: datetime | None = None
    expires_at: datetime | None = None
    catalogue: bool = False
    ordered_at: datetime | None = None

    @cached_property
    def day(self) -> date:
        return self.moment.astimezone(UTC).date()


def order_columns(admitted: Admitted) -> dict[str, Any]:
    """What the order alone decides: plain JSON values, so that they can wait in a file."""
    order, spec, refusal, spec_json = admitted.order, admitted.spec, admitted.refusal, admitted.spec.as_json()
    return {
        "external_id": order.external_id,
        "sku": order.sku,
        "status": (JobStatus.REJECTED if refusal else JobStatus.QUEUED).value,
        "priority": order.priority.value if order.priority else None,
        "checkpoint": spec.checkpoint,
        "lora_key": spec.lora_key,
        "template": admitted.template,
        "cell": cell(order),
        "placed": bool(order.slot or order.locale or order.candidate),
        "spec_sha256": sha256_of(spec_json),
        "by_chance": admitted.by_chance,
        "requested": order.model_dump(mode="json", exclude_unset=True),
        "spec": spec_json,
        "warnings": admitted.warnings,
        "error": describe(refusal) if refusal else None,
        "end_user": order.user,
        "campaign": order.campaign,
        "cost_centre": order.cost_centre,
        "tags": order.tags,
        "customer_metadata": order.metadata,
        "expires_in": order.expires_in,
        "not_before": order.not_before.isoformat() if order.not_before else None,
        "deadline": order.deadline.isoformat() if order.deadline else None,
        "expires_at": order.expires_at.isoformat() if order.expires_at else None,
    }


def cell(order: JobOrder) -> str:
    """The place in a catalogue: sku, slot, size, locale, candidate, as the order says them. None of them can hold a bar."""
    return f"{order.sku or ''}|{order.slot or ''}|{order.size or ''}|{order.locale or ''}|{order.candidate or 1}"


def wanted(ordered: Mapping[str, Any]) -> Wanted:
    """What the row itself says of its share."""
    spec = ordered["spec"]
    return ordered["priority"], ordered["end_user"], ordered["checkpoint"], spec["width"] * spec["height"]


def kind_of(ordered: Mapping[str, Any], placement: Placement) -> Kind:
    """What decides the row's share of the GPUs."""
    return kind_by(wanted(ordered), placement)


def kind_by(row: Wanted, placement: Placement, user: str | None = None) -> Kind:
    """`user` is the order's, for rows that name none."""
    priority, own_user, checkpoint, pixels = row
    return Kind(Priority(priority) if priority else placement.priority, own_user or user or "", checkpoint, pixels)


def job_columns(
    ordered: Mapping[str, Any], caller: Caller, placement: Placement, kind: Kind, tag: Tag, *, seq: int, row_no: int
) -> dict[str, Any]:
    """Every column of a new row that is not NULL by nature."""
    columns = dict(ordered)
    expires_in, placed, _ = columns.pop("expires_in"), columns.pop("placed"), columns.pop("by_chance")
    moment = placement.moment
    not_before = _moment(ordered["not_before"]) or placement.not_before
    scheduled = not_before is not None and not_before > moment and columns["status"] == JobStatus.QUEUED.value
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
        "hold": Hold.SCHEDULED.value if scheduled else None,
        "priority": kind.priority.value,
        "lane": kind.priority.lane.value,
        **tag._asdict(),
        "ready_at": not_before if scheduled else moment,
        "cell": columns["cell"] if placed or placement.catalogue else None,
        "superseded": False,
        "attempt": 0,
        "lost_leases": 0,
        "failures": 0,
        "not_before": not_before,
        "expires_at": _end(placement, expires_in) or _moment(ordered["expires_at"]) or placement.expires_at,
        "deadline": _moment(ordered["deadline"]) or placement.deadline,
        "created_at": moment,
        "finished_at": moment if columns["status"] == JobStatus.REJECTED.value else None,
    }


def _end(placement: Placement, expires_in: int | None) -> datetime | None:
    return (placement.ordered_at or placement.moment) + timedelta(seconds=expires_in) if expires_in else None


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


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
