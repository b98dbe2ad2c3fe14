"""Jobs: order one, look at it, list them, cancel it."""

from __future__ import annotations

import hashlib
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from factory.api import represent
from factory.api.answers import Json
from factory.api.body import Small
from factory.api.cursors import read_number, read_uuid
from factory.api.deps import Admit, Db, Reader, Ring, To, Writer
from factory.api.links import Links
from factory.api.once import Key, Once, request_hash
from factory.api.order_job import order_job, read_job
from factory.api.queries import JobQuery, PageQuery
from factory.api.receipts import cancel_receipt
from factory.api.replies import Look, reply, reply_when_done
from factory.api.wait import Patience
from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.job_order import EXTERNAL_ID, JobOrder
from factory.domain.status import TERMINAL
from factory.jobs.answer_once import Answer
from factory.jobs.cancel import CancelReceipt, cancel_job
from factory.jobs.find_jobs import find_job, find_own_job, job_in, list_jobs
from factory.jobs.opening_hours import opening_hours
from factory.jobs.read_audit import AuditFilter, list_events

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])
Name = Annotated[str, Path(max_length=128, description="our id, or the client's own")]
OwnId = Annotated[str, Path(pattern=EXTERNAL_ID, description="the client's own id")]
DOC: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": {"$id": "urn:content-factory:schema:job", **JobOrder.model_json_schema()}}},
    }
}


@router.post("", status_code=202, openapi_extra=DOC)
async def post_job(
    request: Request, caller: Writer, body: Small, db: Db, admission: Admit, links: To, ring: Ring, key: Key, patience: Patience
) -> Response:
    """Order one picture. 202 once it is committed; with `wait`, 200 when it has ended in time.

    The reply to an order with a `deadline` says in `deadline_kept` whether it is likely to be kept; null where nothing can be said of it.
    """
    return await _order(request, body, caller, db, admission, links, ring, key, patience)


@router.put("/{external_id}", status_code=202, openapi_extra=DOC)
async def put_job(
    request: Request,
    external_id: OwnId,
    caller: Writer,
    body: Small,
    db: Db,
    admission: Admit,
    links: To,
    ring: Ring,
    key: Key,
    patience: Patience,
) -> Response:
    """Order one picture under the client's own id. The same again answers with its present state."""
    return await _order(request, body, caller, db, admission, links, ring, key, patience, external_id)


async def _order(
    request: Request,
    body: bytes,
    caller: Caller,
    db: Database,
    admission: Admit,
    links: Links,
    ring: Ring,
    key: str | None,
    patience: float,
    external_id: str | None = None,
) -> Response:
    once = Once(caller.tenant, key, request_hash(request, hashlib.sha256(body).hexdigest()))

    def order() -> Answer:
        state = request.app.state
        hours = opening_hours(state.settings.offpeak_windows, state.settings.timezone)
        answer = order_job(db, caller, admission, links, read_job(body, external_id=external_id), once, state.queue_memory, hours)
        if not answer.replayed:
            ring(1)
        return answer

    return await reply(request, await run_in_threadpool(order), lambda name: _look(db, caller, links, name), patience)


def _look(db: Database, caller: Caller, links: Links, name: str) -> Look:
    def look() -> tuple[dict[str, Any], bool]:
        found = find_job(db, tenant=caller.tenant, name=name)
        return represent.job(found, links), found.job.status in TERMINAL

    return look


@router.get("")
def get_jobs(wanted: Annotated[JobQuery, Query()], caller: Reader, db: Db, links: To) -> Response:
    """Newest first. A full page has a `next_cursor`."""
    before = read_uuid(wanted.cursor)
    found = list_jobs(db, tenant=caller.tenant, wanted=wanted.as_filter(), before=before, limit=wanted.limit)
    return Json(represent.page([represent.job(one, links) for one in found], found[-1].job.id if found else None, limit=wanted.limit))


@router.get("/by-external/{external_id}")
def get_job_by_external_id(external_id: OwnId, caller: Reader, db: Db, links: To) -> Response:
    """Only by the client's own id, in whichever order the job came."""
    return Json(represent.job(find_own_job(db, tenant=caller.tenant, external_id=external_id), links))


@router.get("/{name}")
async def get_job(request: Request, name: Name, caller: Reader, db: Db, links: To, patience: Patience) -> Response:
    """The job now; with `wait`, when it has ended."""
    return await reply_when_done(request, _look(db, caller, links, name), patience)


@router.post("/{name}/cancel")
def post_cancel(request: Request, name: Name, caller: Writer, db: Db, links: To, key: Key) -> Response:
    """Harmless when the job has ended already: the receipt says how it stands."""
    job_id = find_job(db, tenant=caller.tenant, name=name).job.id

    def cancel(session: Session, moment: ColumnElement[Any]) -> CancelReceipt:
        return cancel_job(session, moment, tenant=caller.tenant, job_id=job_id, actor=caller.actor)

    def now(session: Session) -> dict[str, Any]:
        return represent.job(job_in(session, tenant=caller.tenant, name=str(job_id)), links)

    return cancel_receipt(db, Once(caller.tenant, key, request_hash(request, "")), cancel, now)


@router.get("/{name}/events")
def get_job_events(name: Name, wanted: Annotated[PageQuery, Query()], caller: Reader, db: Db) -> Response:
    """What happened to the job, newest first."""
    job = find_job(db, tenant=caller.tenant, name=name).job
    found = list_events(db, AuditFilter(tenant=caller.tenant, job=job.id), before=read_number(wanted.cursor), limit=wanted.limit)
    return Json(represent.page([represent.event(one) for one in found], found[-1].id if found else None, limit=wanted.limit))
