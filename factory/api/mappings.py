"""Mappings: what a tenant's column headers mean, saved under names that orders may use."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from factory.api import represent
from factory.api.answers import Json
from factory.api.body import Small
from factory.api.deps import Db, Reader, Writer
from factory.domain.column_mapping import ColumnMapping
from factory.domain.job_order import SAFE_NAME
from factory.errors import Invalid, Malformed, Problem
from factory.intake.batch_head import Header
from factory.intake.columns import mapping_problems
from factory.intake.field_problems import field_problems
from factory.intake.rows import unstorable
from factory.jobs.column_mappings import find_mapping, forget_mapping, list_mappings, mapping_in, save_mapping

router = APIRouter(prefix="/api/v1/mappings", tags=["mappings"])
Name = Annotated[str, Path(pattern=SAFE_NAME)]


class MappingBody(BaseModel):
    """`columns`: header → field of an order, metadata.NAME, vars.NAME, or - for a column that means nothing."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    columns: dict[Header, Header] = Field(min_length=1, max_length=200)


@router.get("")
def get_mappings(caller: Reader, db: Db) -> Response:
    """All of them, by name."""
    found = [_shown(one) for one in list_mappings(db, tenant=caller.tenant)]
    return Json(represent.page(found, None, limit=len(found) + 1))


@router.get("/{name}")
def get_mapping(name: Name, caller: Reader, db: Db) -> Response:
    return Json(_shown(find_mapping(db, tenant=caller.tenant, name=name)))


@router.put("/{name}")
def put_mapping(name: Name, content: Small, caller: Writer, db: Db) -> Response:
    """`{"columns": {"货号": "sku", "卖点": "vars.slogan"}}`; replaces what the name meant before."""
    columns = _read(content)
    with db.transaction() as session:
        save_mapping(session, db.now(), tenant=caller.tenant, name=name, columns=columns)
        saved = _shown(mapping_in(session, tenant=caller.tenant, name=name))
    return Json(saved)


@router.delete("/{name}", status_code=204)
def delete_mapping(name: Name, caller: Writer, db: Db) -> Response:
    """Orders that used it stay as they are."""
    forget_mapping(db, tenant=caller.tenant, name=name)
    return Response(status_code=204)


def _read(content: bytes) -> dict[str, str]:
    """Raises Malformed, Invalid."""
    try:
        sent = orjson.loads(content)
    except orjson.JSONDecodeError as fault:
        raise Malformed(f"the body is no valid JSON in UTF-8: {fault}", code="malformed_json") from fault
    if wrong := unstorable(sent):
        raise Invalid(None, Problem("invalid_value", wrong))
    try:
        columns = MappingBody.model_validate(sent).columns
    except ValidationError as fault:
        raise Invalid(None, *field_problems(fault.errors(include_url=False))) from fault
    if problems := mapping_problems(columns, "/columns"):
        raise Invalid(None, *problems)
    return columns


def _shown(row: ColumnMapping) -> dict[str, Any]:
    return {"object": "mapping", "name": row.name, "columns": row.columns, "saved_at": represent.plain(row.saved_at)}
