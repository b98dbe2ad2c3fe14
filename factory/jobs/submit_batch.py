"""submit_batch: a prepared order becomes rows, by COPY, all or none of them."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Text, any_, insert, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from factory.db import copy_rows
from factory.domain.audit_event import AuditAction, AuditEvent
from factory.domain.batch import Batch
from factory.domain.caller import Caller
from factory.domain.job import Job
from factory.domain.row import new_id
from factory.errors import Invalid, Problem
from factory.jobs.change_status import EVENT_COLUMNS
from factory.jobs.log_event import log_event
from factory.jobs.new_job import Placement, job_columns, numbers, submitted_events
from factory.jobs.prepare_batch import PreparedBatch

JSON_COLUMNS = frozenset({"requested", "spec", "warnings", "error", "customer_metadata"})


@dataclass(frozen=True)
class BatchOrder:
    """What an order says about itself, beside its rows."""

    project: str
    external_id: str | None = None
    user: str | None = None
    campaign: str | None = None
    cost_centre: str | None = None
    tags: tuple[str, ...] = ()
    metadata: tuple[tuple[str, str], ...] = ()


def submit_batch(
    session: Session, now: ColumnElement[Any], caller: Caller, order: BatchOrder, prepared: PreparedBatch, *, request_sha256: str
) -> uuid.UUID:
    """Write the batch, its jobs and their events in the caller's transaction; returns the batch id.

    Rows whose external id is taken by an earlier order are refused, like any other row that cannot be accepted.
    """
    taken = _taken(session, caller, prepared)
    accepted = prepared.rows - len(taken)
    if not accepted:
        raise Invalid(
            "every row was ordered before", *[_already(number, name) for name, number in list(taken.items())[:100]], code="no_valid_rows"
        )
    batch_id = new_id()
    placement = Placement(session.execute(select(now)).scalar_one(), order.project, batch_id=batch_id)
    for name, number in taken.items():
        prepared.refuse(number, [_already(number, name)])
    session.add(_batch(caller, order, placement, prepared, accepted, request_sha256))
    session.flush()
    with numbers(session, caller, placement, accepted) as first:
        rows = _rows(prepared, taken, caller, placement, order, first)
        head = next(rows)
        copy_rows(session, "jobs", list(head), (tuple(row.values()) for row in chain([head], rows)))
        mine = Job.batch_id == batch_id
        session.execute(insert(AuditEvent).from_select(EVENT_COLUMNS, submitted_events(now, caller.actor).where(mine)))
    counts = {"accepted": accepted, "refused": prepared.refused}
    log_event(
        session,
        now=now,
        tenant=caller.tenant,
        actor=caller.actor,
        action=AuditAction.BATCH_SUBMITTED,
        batch_id=batch_id,
        detail=counts,
    )
    return batch_id


def _taken(session: Session, caller: Caller, prepared: PreparedBatch) -> dict[str, int]:
    if not prepared.external_ids:
        return {}
    # One array: a parameter for each would be more than the protocol's 65 535.
    names = literal(list(prepared.external_ids), ARRAY(Text))
    found = session.scalars(select(Job.external_id).where(Job.tenant == caller.tenant, Job.external_id == any_(names)))
    return {name: prepared.external_ids[name] for name in found if name is not None}


def _already(number: int, name: str) -> Problem:
    message = f"external_id {name!r} belongs to an earlier job; look it up instead of ordering it again"
    return Problem("external_id_taken", message, f"/rows/{number}/external_id", name, {"row": number})


def _batch(caller: Caller, order: BatchOrder, placement: Placement, prepared: PreparedBatch, accepted: int, request_sha256: str) -> Batch:
    return Batch(
        id=placement.batch_id,
        tenant=caller.tenant,
        external_id=order.external_id,
        request_sha256=request_sha256,
        project=order.project,
        key_id=caller.key_id,
        rows_accepted=accepted,
        rows_refused=prepared.refused,
        row_errors=prepared.errors,
        created_at=placement.moment,
        end_user=order.user,
        campaign=order.campaign,
        cost_centre=order.cost_centre,
        tags=list(order.tags),
        customer_metadata=dict(order.metadata),
    )


def _rows(
    prepared: PreparedBatch, taken: dict[str, int], caller: Caller, placement: Placement, order: BatchOrder, first: int
) -> Iterator[dict[str, Any]]:
    seq = first
    for number, ordered in prepared:
        if ordered["external_id"] in taken:
            continue
        _inherit(ordered, order)
        columns = job_columns(ordered, caller, placement, seq=seq, row_no=number)
        seq += 1
        yield {
            name: orjson.dumps(value).decode() if name in JSON_COLUMNS and value is not None else value for name, value in columns.items()
        }


def _inherit(ordered: dict[str, Any], order: BatchOrder) -> None:
    """What a row does not say, the order says for it, so that filters on jobs find both."""
    for name, value in (("end_user", order.user), ("campaign", order.campaign), ("cost_centre", order.cost_centre)):
        ordered[name] = ordered[name] or value
    ordered["tags"] = ordered["tags"] or list(order.tags)
    ordered["customer_metadata"] = dict(order.metadata) | ordered["customer_metadata"]
