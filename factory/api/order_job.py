"""From a body to one queued job, or to the reason why not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import orjson
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from factory.api import represent
from factory.api.links import Links
from factory.api.once import Once, order_once, same_order
from factory.api.rate_limits import limit_headers
from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.job import Job
from factory.domain.job_order import JobOrder
from factory.errors import Invalid, Malformed, NotFound, Problem, Refused
from factory.intake.rows import read_order
from factory.jobs.admit import Admission, Admitted, Limits, admit
from factory.jobs.answer_once import Act, Answer
from factory.jobs.find_jobs import FoundJob, find_own_job
from factory.jobs.log_refusal import log_refusal
from factory.jobs.opening_hours import OpensAt
from factory.jobs.queue_memory import QueueMemory
from factory.jobs.quote_job import quote_job
from factory.jobs.require_room import require_room
from factory.jobs.submit_job import submit_job
from factory.jobs.templates import template_finder

REFUSED = 422


def read_job(content: bytes, *, external_id: str | None = None) -> JobOrder:
    """`external_id` from the path wins over none in the body, and must not differ from one. Raises Invalid."""
    try:
        sent = orjson.loads(content)
    except orjson.JSONDecodeError as fault:
        raise Malformed(f"the body is no valid JSON in UTF-8: {fault}", code="malformed_json") from fault
    if external_id is not None and isinstance(sent, dict) and sent.setdefault("external_id", external_id) != external_id:
        message = f"external_id in the body differs from {external_id!r} in the path; leave it out"
        raise Invalid(None, Problem("external_id_differs", message, "/external_id", sent["external_id"]))
    return read_order(sent)


def order_job(
    db: Database,
    caller: Caller,
    admission: Callable[[], Admission],
    links: Links,
    order: JobOrder,
    once: Once,
    memory: QueueMemory,
    opens_at: OpensAt,
) -> Answer:
    """Raises Refused when a rule says no: no job is made, the log keeps the refusal, once for all repeats with one key."""

    def existing() -> Answer | None:
        return _present(db, links, order.external_id, once) if order.external_id else None

    def prepare() -> tuple[str | None, Act]:
        rules = replace(admission(), templates=template_finder(db, caller))
        admitted = admit(order, rules)
        if admitted.refusal:
            # Not under the order's own id: with another prompt it may be ordered yet.
            return None, _refuse(caller, admitted, admitted.refusal)
        name = f"job:{order.external_id}" if order.external_id else None
        return name, _act(caller, admitted, links, once, rules.limits, memory, opens_at)

    answer = order_once(db, once, prepare=prepare, existing=existing)
    if answer.status_code == REFUSED:
        raise Refused(answer.body["message"], **answer.body["detail"])
    return answer


def _refuse(caller: Caller, admitted: Admitted, refusal: Refused) -> Act:
    def act(session: Session, now: ColumnElement[Any]) -> Answer:
        log_refusal(session, now, caller, admitted, refusal)
        return Answer(REFUSED, {"message": str(refusal), "detail": refusal.detail})

    return act


def _act(caller: Caller, admitted: Admitted, links: Links, once: Once, limits: Limits, memory: QueueMemory, opens_at: OpensAt) -> Act:
    def act(session: Session, now: ColumnElement[Any]) -> Answer:
        user, most = admitted.order.user or "", limits.max_queued
        room = require_room(session, now, tenant=caller.tenant, user=user, default=most, memory=memory)
        kept = _keeps_deadline(session, now, caller, admitted, opens_at)
        job_id = submit_job(session, now, caller, admitted, request_sha256=once.request_sha256)
        body = represent.job(FoundJob(session.get_one(Job, job_id), None), links) | kept
        return Answer(202, body, headers=limit_headers(limit=room.limit, room=room.left - 1))

    return act


def _keeps_deadline(
    session: Session, now: ColumnElement[Any], caller: Caller, admitted: Admitted, opens_at: OpensAt
) -> dict[str, bool | None]:
    """Only said where a deadline was: others need not wait for the question."""
    deadline = admitted.order.deadline
    if deadline is None:
        return {}
    found = quote_job(session, now, tenant=caller.tenant, admitted=admitted, opens_at=opens_at)
    return {"deadline_kept": found.keeps(deadline)}


def _present(db: Database, links: Links, external_id: str, once: Once) -> Answer | None:
    try:
        found = find_own_job(db, tenant=once.tenant, external_id=external_id)
    except NotFound:
        return None
    return same_order(external_id, found.job.request_sha256, once, lambda: represent.job(found, links))
