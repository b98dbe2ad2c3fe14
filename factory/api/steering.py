"""Steering: pause a batch, let it go on, make it more urgent, order anew what came to nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session
from starlette.responses import Response

from factory.api import represent
from factory.api.answers import Json
from factory.api.body import Small
from factory.api.deps import Admit, Db, Reader, Ring, To, WakeReader, Writer
from factory.api.links import Links
from factory.api.once import Key, Once, order_once, request_hash
from factory.api.read_body import read_body
from factory.db import Database
from factory.domain.batch import Batch
from factory.domain.caller import Caller
from factory.domain.status import JobStatus, Priority
from factory.intake.rows import read_order
from factory.jobs.admit import Admission
from factory.jobs.answer_once import Act, Answer
from factory.jobs.find_batches import batch_in, batch_row, find_batch
from factory.jobs.find_jobs import find_job
from factory.jobs.lineage import lineage
from factory.jobs.pause_batch import pause_batch, resume_batch
from factory.jobs.prepare_batch import PreparedBatch
from factory.jobs.prepare_retry import RetryWish, prepare_retry
from factory.jobs.reprioritise import reprioritise_batch, reprioritise_job
from factory.jobs.retry_batch import retry_batch
from factory.jobs.templates import template_finder

JSON_SPACE = b" \t\r\n"  # a body of nothing else is none
router = APIRouter(prefix="/api/v1", tags=["steering"])
Name = Annotated[str, Path(max_length=128, description="our id, or the client's own")]


def _doc(kind: type[BaseModel]) -> dict[str, Any]:
    return {"requestBody": {"content": {"application/json": {"schema": kind.model_json_schema()}}}}


class PriorityBody(BaseModel):
    """What rows that still wait shall have."""

    model_config = ConfigDict(extra="forbid")

    priority: Priority


class RetryBody(BaseModel):
    """Without statuses: failed and expired rows, and rejected ones if something changes. A change to null takes back what was said."""

    model_config = ConfigDict(extra="forbid")

    statuses: list[Literal["failed", "expired", "rejected", "canceled"]] = Field(default_factory=list, max_length=16)
    changes: dict[str, Any] = Field(default_factory=dict, max_length=32, description="prompt, vars, seed, model, size, …")


@router.post("/batches/{name}/pause")
def post_pause(name: Name, caller: Writer, db: Db, links: To) -> Response:
    """What waits is offered to no worker; what runs is finished. Harmless when it is paused or has ended."""
    batch = _batch(db, caller, name)
    held = pause_batch(db, tenant=caller.tenant, batch_id=batch.id, actor=caller.actor)
    return _now(db, caller, batch, links, held=held)


@router.post("/batches/{name}/resume")
def post_resume(name: Name, caller: Writer, db: Db, links: To, ring: Ring, wake_reader: WakeReader) -> Response:
    """What was held waits again, where it stood among the batch's rows; rows that are not read yet are read."""
    batch = _batch(db, caller, name)
    released = resume_batch(db, tenant=caller.tenant, batch_id=batch.id, actor=caller.actor)
    if released:
        ring(released)
    if batch.unread:
        wake_reader()
    return _now(db, caller, batch, links, released=released)


@router.post("/batches/{name}/priority", openapi_extra=_doc(PriorityBody))
def post_batch_priority(name: Name, body: Small, caller: Writer, db: Db, links: To, ring: Ring) -> Response:
    """Rows that wait get this priority; rows ordered anew later get it too."""
    batch, wanted = _batch(db, caller, name), read_body(PriorityBody, body.strip(JSON_SPACE)).priority
    changed = reprioritise_batch(db, tenant=caller.tenant, batch_id=batch.id, priority=wanted, actor=caller.actor)
    if changed:
        ring(changed)
    return _now(db, caller, batch, links, changed=changed)


@router.post("/jobs/{name}/priority", openapi_extra=_doc(PriorityBody))
def post_job_priority(name: Name, body: Small, caller: Writer, db: Db, links: To, ring: Ring) -> Response:
    """Of a job that waits; another stays as it is."""
    job_id, wanted = find_job(db, tenant=caller.tenant, name=name).job.id, read_body(PriorityBody, body.strip(JSON_SPACE)).priority
    changed = reprioritise_job(db, tenant=caller.tenant, job_id=job_id, priority=wanted, actor=caller.actor)
    if changed:
        ring(changed)
    return Json({**represent.job(find_job(db, tenant=caller.tenant, name=str(job_id)), links), "changed": changed})


@router.get("/jobs/{name}/lineage")
def get_lineage(name: Name, caller: Reader, db: Db, links: To) -> Response:
    """Every job that this row has had, the first one first."""
    found = lineage(db, tenant=caller.tenant, name=name)
    data = [
        {
            "object": "job",
            "id": str(job.id),
            "status": job.status,
            "retry_of": represent.plain(job.retry_of),
            "superseded": job.superseded,
            "created_at": represent.plain(job.created_at),
            "finished_at": represent.plain(job.finished_at),
            "error": job.error,
            "links": links.job(job.id, job.batch_id, None),
        }
        for job in found
    ]
    return Json(represent.page(data, None, limit=len(data)))


@router.post("/batches/{name}/retry", status_code=202, openapi_extra=_doc(RetryBody))
def post_retry(
    request: Request, name: Name, caller: Writer, db: Db, links: To, admission: Admit, ring: Ring, key: Key, body: Small
) -> Response:
    """New jobs take the place of those that came to nothing. 200 when there was nothing to retry."""
    batch, asked = _batch(db, caller, name), read_body(RetryBody, body.strip(JSON_SPACE))
    wish = RetryWish(frozenset(map(JobStatus, asked.statuses)), asked.changes)
    once = Once(caller.tenant, key, request_hash(request, hashlib.sha256(body).hexdigest()))

    def prepare() -> tuple[str | None, Act]:
        by = _admission(db, caller, admission)
        prepared = prepare_retry(db, batch, wish, by, read_order)
        return None, _act(caller, batch, wish, prepared, links, by.limits.max_queued)

    answer = order_once(db, once, prepare=prepare, existing=lambda: None)
    if answer.body["retried"] and not answer.replayed:
        ring(answer.body["retried"])
    return Json(answer.body, answer.status_code, {"Idempotent-Replayed": "true"} if answer.replayed else None)


def _act(caller: Caller, batch: Batch, wish: RetryWish, prepared: PreparedBatch, links: Links, max_queued: int) -> Act:
    def act(session: Session, now: ColumnElement[Any]) -> Answer:
        done = retry_batch(session, now, caller, batch_id=batch.id, wish=wish, prepared=prepared, max_queued=max_queued)
        told = represent.batch(batch_in(session, tenant=caller.tenant, name=str(batch.id), now=now), links, with_errors=False)
        receipt = {"retried": done.retried, "rejected": done.rejected, "refused": prepared.refused, "retry_errors": prepared.errors}
        return Answer(202 if done.retried else 200, {**told, **receipt})

    return act


def _admission(db: Database, caller: Caller, admission: Callable[[], Admission]) -> Admission:
    return replace(admission(), templates=template_finder(db, caller))


def _batch(db: Database, caller: Caller, name: str) -> Batch:
    with db.transaction() as session:
        return batch_row(session, tenant=caller.tenant, name=name)


def _now(db: Database, caller: Caller, batch: Batch, links: Links, **done: int) -> Response:
    found = find_batch(db, tenant=caller.tenant, name=str(batch.id))
    return Json({**represent.batch(found, links, with_errors=False), **done})
