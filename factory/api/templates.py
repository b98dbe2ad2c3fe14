"""Templates: save, look, check, export; and the market, those that come with the factory."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from pydantic import Field
from starlette.responses import Response

from factory.api import represent
from factory.api.answers import Json
from factory.api.body import Small
from factory.api.cursors import read_uuid
from factory.api.deps import Db, Reader, Writer
from factory.api.queries import PageQuery
from factory.db import Database
from factory.domain.fill_template import example_vars
from factory.domain.job_order import TEMPLATE_REFERENCE
from factory.domain.lint_template import errors_of, lint_template
from factory.domain.read_template import read_template, write_template
from factory.domain.template import Template
from factory.domain.template_body import TEMPLATE_NAME, TemplateBody
from factory.errors import NotFound
from factory.jobs.templates import find_template, list_templates, list_versions, market_offer, save_template, version_of
from factory.market import load_market, market_template, sample_file

ROOT = "/api/v1/templates"
YAML = "application/yaml"
router = APIRouter(prefix=ROOT, tags=["templates"])
Name = Annotated[str, Path(pattern=TEMPLATE_NAME)]
Reference = Annotated[str, Path(pattern=TEMPLATE_REFERENCE, description="`name`, the newest version, or `name@version`")]
Market = Annotated[bool, Query(description="the one that comes with the factory, whatever you saved under its name")]
# With an id of its own, its `#/$defs/…` mean themselves and not the OpenAPI document.
SCHEMA = {"$id": "urn:content-factory:schema:template", **TemplateBody.model_json_schema()}
DOC: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/json": {"schema": SCHEMA}, YAML: {"schema": {"type": "string"}}}}
}


class TemplateQuery(PageQuery):
    """`market=1` lists what comes with the factory."""

    market: bool = False
    category: str | None = Field(None, max_length=64, description="only with `market`")


@router.post("", status_code=201, openapi_extra=DOC)
def post_template(caller: Writer, body: Small, db: Db, *, dry_run: bool = False) -> Response:
    """A new version, in YAML or JSON. 200 when the newest one says the same. With `dry_run=1` nothing is kept, only checked."""
    sent = read_template(body)
    findings = lint_template(sent)
    said = [finding.as_dict() for finding in findings]
    if dry_run:
        return Json({"object": "lint", "ok": not errors_of(findings), "findings": said})
    saved = save_template(db, caller, sent)
    headers = {"Location": f"{ROOT}/{saved.row.name}@{saved.row.version}"}
    return Json({**_shown(saved.row), "warnings": said}, 201 if saved.is_new else 200, headers)


@router.get("")
def get_templates(wanted: Annotated[TemplateQuery, Query()], caller: Reader, db: Db) -> Response:
    """Yours, each in its newest version, the last saved first; or the market's, by name, on one page."""
    if wanted.market:
        found = [_on_sale(body) for body in load_market() if wanted.category in (None, body.category)]
        return Json(represent.page(found, None, limit=len(found) + 1))
    rows = list_templates(db, tenant=caller.tenant, before=read_uuid(wanted.cursor), limit=wanted.limit)
    return Json(represent.page([_shown(row) for row in rows], rows[-1].id if rows else None, limit=wanted.limit))


@router.get("/{name}/sample.jpg")
def get_sample(name: Name, caller: Reader) -> Response:  # noqa: ARG001 - asking for the caller is what guards the route
    """What the demo checkpoint draws from a market template's examples."""
    file = sample_file(name)
    if file is None:
        raise NotFound(f"the market has no sample of {name!r}; `GET {ROOT}?market=1` lists its templates")
    return Response(file.read_bytes(), media_type="image/jpeg")


@router.get("/{name}/versions")
def get_versions(name: Name, caller: Reader, db: Db) -> Response:
    """Newest first; the last two hundred."""
    found = [_shown(row) for row in list_versions(db, tenant=caller.tenant, name=name)]
    return Json(represent.page(found, None, limit=len(found) + 1))


@router.get("/{reference}.yaml")
def get_yaml(reference: Reference, caller: Reader, db: Db, *, market: Market = False) -> Response:
    """The template as a file, to be edited and saved as the next version."""
    found = _found(db, caller.tenant, reference, market=market)
    body = found if isinstance(found, TemplateBody) else version_of(found).body
    headers = {"Content-Disposition": f'attachment; filename="{reference}.yaml"'}
    return Response(write_template(body), headers=headers, media_type=YAML)


@router.get("/{reference}")
def get_template(reference: Reference, caller: Reader, db: Db, *, market: Market = False) -> Response:
    """One version, whole; the market's, which has none, where you have none of that name. Nothing is saved by looking."""
    found = _found(db, caller.tenant, reference, market=market)
    return Json(_on_sale(found) if isinstance(found, TemplateBody) else _shown(found))


def _found(db: Database, tenant: str, reference: str, *, market: bool) -> Template | TemplateBody:
    """Raises NotFound."""
    if market:
        return _on_shelf(reference)
    return market_offer(db, tenant=tenant, reference=reference) or find_template(db, tenant=tenant, reference=reference)


def _on_shelf(name: str) -> TemplateBody:
    body = market_template(name)
    if body is None:
        raise NotFound(f"the market has no template {name!r}; `GET {ROOT}?market=1` lists them")
    return body


def _shown(row: Template) -> dict[str, Any]:
    reference = f"{row.name}@{row.version}"
    return {
        "object": "template",
        "id": str(row.id),
        "name": row.name,
        "version": row.version,
        "market": False,
        "reference": reference,
        "sha256": row.sha256,
        "created_at": represent.plain(row.created_at),
        "body": row.body,
        "links": {"self": f"{ROOT}/{reference}", "yaml": f"{ROOT}/{reference}.yaml", "versions": f"{ROOT}/{row.name}/versions"},
    }


def _on_sale(body: TemplateBody) -> dict[str, Any]:
    at = f"{ROOT}/{body.name}"
    return {
        "object": "market_template",
        "name": body.name,
        "version": None,
        "market": True,
        "reference": body.name,
        "sha256": body.sha256,
        "body": body.as_json(),
        "example": example_vars(body),
        "links": {
            "self": f"{at}?market=1",
            "yaml": f"{at}.yaml?market=1",
            "sample": f"{at}/sample.jpg" if sample_file(body.name) else None,
        },
    }
