"""Catalogues: plan what is missing, order only that; and quotes of orders, before anything is ordered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from factory.api import represent
from factory.api.answers import Json
from factory.api.body import Spooled
from factory.api.deps import Admit, Config, Db, Ring, To, Writer
from factory.api.links import Links
from factory.api.once import Key, Once, order_once, request_hash, said_in_address
from factory.api.price_order import price_order
from factory.api.read_catalogue import KINDS, SentCatalogue, read_catalogue
from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.catalogue import Catalogue
from factory.intake.batch_head import head_from_pairs
from factory.intake.check_upload import check_upload
from factory.intake.columns import Warnings
from factory.intake.rows import read_order
from factory.intake.uploads import KINDS as KINDS_OF_ORDERS
from factory.intake.uploads import read_upload
from factory.jobs.admit import Admission
from factory.jobs.answer_once import Act, Answer
from factory.jobs.apply_catalogue import Prepared, apply_catalogue, as_order, prepare_catalogue
from factory.jobs.find_batches import batch_in
from factory.jobs.match_twins import count_reused
from factory.jobs.plan_catalogue import CellState, Plan, PlannedCell
from factory.jobs.templates import template_finder

router = APIRouter(prefix="/api/v1", tags=["catalogues"])
Reuse = Annotated[bool, Query(description="deliver a finished picture of the same spec again instead of drawing it anew")]
DOC: dict[str, Any] = {"requestBody": {"required": True, "content": {kind: {} for kind in KINDS}}}
QUOTE_DOC: dict[str, Any] = {"requestBody": {"required": True, "content": {kind: {} for kind in [*KINDS_OF_ORDERS, "multipart/form-data"]}}}


@router.post("/catalogues/plan", openapi_extra=DOC)
async def post_plan(caller: Writer, body: Spooled, db: Db, admission: Admit, settings: Config) -> Response:
    """What is present, in work, missing, stale or blocked, and a quote of what an apply would order. Nothing is ordered."""

    def plan() -> dict[str, Any]:
        sent = read_catalogue(body)
        by = _admission(db, caller, admission, sent.catalogue, keep=False)
        rows = sent.rows(by.templates)
        lacking = prepare_catalogue(db, tenant=caller.tenant, catalogue=sent.catalogue, rows=rows, admission=by, read=read_order)
        how: dict[str, Any] = {"order": as_order(sent.catalogue), "prepared": lacking.batch, "max_queued": by.limits.max_queued}
        quote = price_order(db, settings, tenant=caller.tenant, **how) if lacking.batch.rows else None
        seconds = quote["gpu_seconds"] if quote else 0.0  # of equal cells one is drawn
        return _plan(lacking.plan, sent.catalogue, sent.warnings) | {"gpu_seconds": seconds, "quote": quote}

    return Json(await run_in_threadpool(plan))


@router.post("/catalogues/apply", status_code=202, openapi_extra=DOC)
async def post_apply(
    request: Request, caller: Writer, body: Spooled, db: Db, admission: Admit, links: To, ring: Ring, key: Key, *, reuse: Reuse = True
) -> Response:
    """Order what is missing or stale, as one batch. 200 and no batch when nothing is."""

    def apply() -> Answer:
        sent = read_catalogue(body)
        once = Once(caller.tenant, key, request_hash(request, sent.sha256))

        def prepare() -> tuple[str | None, Act]:
            by = _admission(db, caller, admission, sent.catalogue, keep=True)
            rows = sent.rows(by.templates)
            lacking = prepare_catalogue(db, tenant=caller.tenant, catalogue=sent.catalogue, rows=rows, admission=by, read=read_order)
            return None, _act(caller, sent, lacking, links, once, reuse=reuse, max_queued=by.limits.max_queued)

        answer = order_once(db, once, prepare=prepare, existing=lambda: None)
        if not answer.replayed and answer.body["batch"]:
            ring(int(answer.body["batch"]["counts"]["queued"]))
        return answer

    answer = await run_in_threadpool(apply)
    headers = {"Idempotent-Replayed": "true"} if answer.replayed else {}
    if answer.body["batch"]:
        headers["Location"] = answer.body["batch"]["links"]["self"]
    return Json(answer.body, answer.status_code, headers)


def _admission(db: Database, caller: Caller, admission: Callable[[], Admission], catalogue: Catalogue, *, keep: bool) -> Admission:
    find = template_finder(db, caller, keep=keep)
    return replace(admission(), templates=find, campaign=catalogue.campaign, project=catalogue.project)


def _act(caller: Caller, sent: SentCatalogue, lacking: Prepared, links: Links, once: Once, *, reuse: bool, max_queued: int) -> Act:
    def act(session: Session, now: ColumnElement[Any]) -> Answer:
        how: dict[str, Any] = {"reuse": reuse, "request_sha256": once.request_sha256, "max_queued": max_queued}
        applied = apply_catalogue(session, now, caller, sent.catalogue, lacking, **how)
        body = _plan(lacking.plan, sent.catalogue, sent.warnings) | {
            "ordered": applied.ordered,
            "canceled": applied.canceled,
            "batch": None,
        }
        if applied.batch_id is None:
            return Answer(200, body)
        found = batch_in(session, tenant=caller.tenant, name=str(applied.batch_id), now=now)
        reused = count_reused(session, applied.batch_id)
        body |= {
            "gpu_seconds": round(max(0.0, lacking.plan.gpu_seconds - reused.gpu_seconds), 3),
            "gpu_seconds_saved": round(reused.gpu_seconds, 3),
            "reused": reused.reused,
        }
        return Answer(202, body | {"batch": represent.batch(found, links)})

    return act


def _plan(plan: Plan, catalogue: Catalogue, warnings: Warnings) -> dict[str, Any]:
    """`cells` are the first thousand that are not present; a row that is wrong as a whole stands there once, for all its cells."""
    return {
        "object": "catalogue",
        "name": catalogue.name,
        "rows": plan.rows,
        "images": plan.images,
        "counts": {state.value: plan.counts[state] for state in CellState},
        "to_render": plan.to_render,
        "gpu_seconds": round(plan.gpu_seconds, 3),
        "cells": [_cell(cell) for cell in plan.cells],
        "warnings": warnings,
    }


def _cell(cell: PlannedCell) -> dict[str, Any]:
    return {
        "cell": cell.judged.key,
        "row": cell.judged.row,
        "cells": cell.judged.cells,
        "state": cell.state.value,
        "why": cell.why,
        "job_id": str(cell.job.id) if cell.job else None,
    }


@router.post("/quotes", openapi_extra=QUOTE_DOC)
async def post_quote(request: Request, caller: Writer, body: Spooled, db: Db, admission: Admit, settings: Config) -> Response:
    """The same body as an order of a batch: what it would cost and when it would be done. Nothing is ordered."""
    pairs = said_in_address(request)

    def quote() -> dict[str, Any]:
        upload = read_upload(body)
        checked = check_upload(db, caller, admission, upload, head_from_pairs(pairs), keep=False)
        how: dict[str, Any] = {"order": checked.head.as_order(), "prepared": checked.prepared, "max_queued": checked.max_queued}
        return price_order(db, settings, tenant=caller.tenant, **how) | {"warnings": upload.warnings}

    return Json(await run_in_threadpool(quote))
