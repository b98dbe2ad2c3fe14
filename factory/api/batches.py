"""Batches: order many rows at once, look at their progress, cancel what is left."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from factory.api import represent
from factory.api.answers import Json
from factory.api.body import Spooled
from factory.api.cursors import read_number, read_uuid
from factory.api.deps import Admit, Config, Db, Reader, Ring, To, WakeReader, Writer
from factory.api.extend_order import extend_order
from factory.api.links import Links
from factory.api.once import Key, Once, request_hash, said_in_address
from factory.api.order_batch import order_batch
from factory.api.queries import JobQuery, LabelQuery, PageQuery
from factory.api.receipts import cancel_receipt
from factory.api.receive_batch import Later, receive_batch
from factory.api.replies import Look, reply, reply_when_done
from factory.api.wait import Patience
from factory.db import Database
from factory.domain.caller import Caller
from factory.intake.batch_head import head_from_pairs
from factory.intake.uploads import KINDS, read_upload
from factory.jobs.answer_once import Answer
from factory.jobs.cancel import CancelReceipt, cancel_batch
from factory.jobs.find_batches import batch_in, find_batch, list_batches
from factory.jobs.find_jobs import list_jobs
from factory.jobs.opening_hours import opening_hours
from factory.jobs.read_audit import AuditFilter, list_events

router = APIRouter(prefix="/api/v1/batches", tags=["batches"])
Name = Annotated[str, Path(max_length=128, description="our id, or the client's own")]
DOC: dict[str, Any] = {"requestBody": {"required": True, "content": {kind: {} for kind in [*KINDS, "multipart/form-data"]}}}


@router.post("", status_code=202, openapi_extra=DOC)
async def post_batch(
    request: Request,
    caller: Writer,
    body: Spooled,
    db: Db,
    admission: Admit,
    links: To,
    ring: Ring,
    key: Key,
    patience: Patience,
    settings: Config,
    later: Later,
    wake_reader: WakeReader,
) -> Response:
    """A JSON list, `{"rows": […]}`, NDJSON, CSV or XLSX; what the order says of itself in the address, the object or the form.

    The reply says in `deadline_kept` whether its `deadline` is likely to be kept; null where nothing can be said of it. With
    `Prefer: respond-async` it comes as soon as the file is safe: the batch is `reading` until its rows are ordered, and `problem` says
    why where they could not be.
    """
    pairs = said_in_address(request)

    def order() -> Answer:
        upload = read_upload(body)
        once = Once(caller.tenant, key, request_hash(request, upload.sha256))
        address = head_from_pairs(pairs)
        if later:
            answer = receive_batch(db, caller, admission, links, upload, address, once)
            wake_reader()
            return answer
        hours = opening_hours(settings.offpeak_windows, settings.timezone)
        answer = order_batch(db, caller, admission, links, upload, address, once, hours)
        if not answer.replayed:
            ring(int(answer.body["counts"]["queued"]))
        return answer

    answer = await reply(request, await run_in_threadpool(order), lambda name: _look(db, caller, links, name), patience)
    if later:
        answer.headers.append("Preference-Applied", "respond-async")
    return answer


def _look(db: Database, caller: Caller, links: Links, name: str) -> Look:
    def look() -> tuple[dict[str, Any], bool]:
        found = find_batch(db, tenant=caller.tenant, name=name)
        return represent.batch(found, links), found.is_done

    return look


@router.post("/{name}/rows", status_code=202, openapi_extra=DOC)
async def post_rows(
    request: Request,
    name: Name,
    caller: Writer,
    body: Spooled,
    db: Db,
    admission: Admit,
    links: To,
    ring: Ring,
    key: Key,
    patience: Patience,
) -> Response:
    """Adds rows to an order that goes on (queued, running or paused; not one of a catalogue): any body that `POST /api/v1/batches` takes.

    What the order says of itself holds for them too and is not said again; template, vars, mapping, sheet, reuse, `not_before` and
    `expires_…` may be. The reply is the batch with the new rows, their `receipt`, and `first_row`: row n of what was sent is row
    `first_row + n - 1` of the order, in `row_errors` and `next_row` too. `Prefer: respond-async` is passed over.
    """
    pairs = said_in_address(request)

    def extend() -> Answer:
        upload = read_upload(body)
        once = Once(caller.tenant, key, request_hash(request, upload.sha256))
        answer = extend_order(db, caller, admission, links, upload, head_from_pairs(pairs), once, name)
        if not answer.replayed:
            ring(answer.body["receipt"]["rows_accepted"])
        return answer

    answer = await run_in_threadpool(extend)
    told = {field: answer.body[field] for field in ("first_row", "receipt")}

    def look(batch_id: str) -> Look:
        now = _look(db, caller, links, batch_id)

        def with_receipt() -> tuple[dict[str, Any], bool]:
            found, done = now()
            return {**found, **told}, done

        return with_receipt

    return await reply(request, answer, look, patience)


@router.get("")
def get_batches(wanted: Annotated[LabelQuery, Query()], caller: Reader, db: Db, links: To) -> Response:
    """Newest first, without their row errors."""
    found = list_batches(db, tenant=caller.tenant, wanted=wanted.as_label_filter(), before=read_uuid(wanted.cursor), limit=wanted.limit)
    data = [represent.batch(one, links, with_errors=False) for one in found]
    return Json(represent.page(data, found[-1].batch.id if found else None, limit=wanted.limit))


@router.get("/{name}")
async def get_batch(request: Request, name: Name, caller: Reader, db: Db, links: To, patience: Patience) -> Response:
    """The batch now; with `wait`, when all its jobs have ended."""
    return await reply_when_done(request, _look(db, caller, links, name), patience)


@router.get("/{name}/jobs")
def get_batch_jobs(name: Name, wanted: Annotated[JobQuery, Query()], caller: Reader, db: Db, links: To) -> Response:
    """The same filters as for all jobs."""
    batch_id = find_batch(db, tenant=caller.tenant, name=name).batch.id
    filtered = wanted.as_filter(batch=batch_id)
    found = list_jobs(db, tenant=caller.tenant, wanted=filtered, before=read_uuid(wanted.cursor), limit=wanted.limit)
    return Json(represent.page([represent.job(one, links) for one in found], found[-1].job.id if found else None, limit=wanted.limit))


@router.post("/{name}/cancel")
def post_cancel(request: Request, name: Name, caller: Writer, db: Db, links: To, key: Key) -> Response:
    """Cancels what has not ended; finished pictures stay."""
    batch_id = find_batch(db, tenant=caller.tenant, name=name).batch.id

    def cancel(session: Session, moment: ColumnElement[Any]) -> CancelReceipt:
        return cancel_batch(session, moment, tenant=caller.tenant, batch_id=batch_id, actor=caller.actor)

    def now(session: Session) -> dict[str, Any]:
        return represent.batch(batch_in(session, tenant=caller.tenant, name=str(batch_id)), links)

    return cancel_receipt(db, Once(caller.tenant, key, request_hash(request, "")), cancel, now)


@router.get("/{name}/events")
def get_batch_events(name: Name, wanted: Annotated[PageQuery, Query()], caller: Reader, db: Db) -> Response:
    """What happened to the batch and its jobs, newest first."""
    batch = find_batch(db, tenant=caller.tenant, name=name).batch
    found = list_events(db, AuditFilter(tenant=caller.tenant, batch=batch.id), before=read_number(wanted.cursor), limit=wanted.limit)
    return Json(represent.page([represent.event(one) for one in found], found[-1].id if found else None, limit=wanted.limit))
