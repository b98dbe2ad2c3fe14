"""Audit: the records of delivered pictures, every event, and both as a file."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response, StreamingResponse

from factory.api import represent
from factory.api.answers import Json
from factory.api.audit_files import csv_lines, json_lines
from factory.api.cursors import read_number, read_uuid
from factory.api.deps import Auditor, Db
from factory.api.queries import AuditQuery, ExportQuery
from factory.jobs.read_audit import BLOCKED, export_events, export_generations, list_events, list_generations

router = APIRouter(prefix="/api/v1/audit", tags=["audit"])


@router.get("/records")
def get_records(wanted: Annotated[AuditQuery, Query()], caller: Auditor, db: Db) -> Response:
    """One for each delivered picture, newest first; with `decision=blocked`, what rules refused."""
    if wanted.decision == BLOCKED:
        return get_events(wanted, caller, db)
    found = list_generations(db, wanted.as_filter(caller.tenant), before=read_uuid(wanted.cursor), limit=wanted.limit)
    return Json(represent.page([represent.generation(one) for one in found], found[-1].id if found else None, limit=wanted.limit))


@router.get("/events")
def get_events(wanted: Annotated[AuditQuery, Query()], caller: Auditor, db: Db) -> Response:
    """Everything that happened, newest first."""
    found = list_events(db, wanted.as_filter(caller.tenant), before=read_number(wanted.cursor), limit=wanted.limit)
    return Json(represent.page([represent.event(one) for one in found], found[-1].id if found else None, limit=wanted.limit))


@router.get("/export")
def get_export(wanted: Annotated[ExportQuery, Query()], caller: Auditor, db: Db) -> Response:
    """Oldest first, as a stream of any length."""
    filtered = wanted.as_filter(caller.tenant)
    if wanted.kind == "events" or wanted.decision == BLOCKED:
        columns, rows = represent.EVENT_COLUMNS, map(represent.event, export_events(db, filtered))
    else:
        columns, rows = represent.GENERATION_COLUMNS, map(represent.generation, export_generations(db, filtered))
    is_csv = wanted.format == "csv"
    lines = csv_lines(columns, rows) if is_csv else json_lines(rows)
    media_type = "text/csv; charset=utf-8" if is_csv else "application/x-ndjson"
    headers = {"Content-Disposition": f'attachment; filename="audit-{wanted.kind}.{wanted.format}"'}
    return StreamingResponse(lines, headers=headers, media_type=media_type)
