"""Collecting: what became of a batch, row by row as CSV or JSONL, and its pictures in one ZIP; all streamed, while it runs or after."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response, StreamingResponse

from factory.api.audit_files import csv_lines, json_lines
from factory.api.deps import Db, Reader, Store, To
from factory.api.links import Links
from factory.db import Database
from factory.domain.asset import Asset
from factory.domain.batch import Batch
from factory.domain.caller import Caller
from factory.errors import Conflict
from factory.jobs.archive import archive
from factory.jobs.find_batches import batch_row
from factory.jobs.manifest import COLUMNS, manifest_rows
from factory.storage import content_disposition

router = APIRouter(prefix="/api/v1/batches", tags=["batches"])
Name = Annotated[str, Path(max_length=128, description="our id, or the client's own")]
Seconds = Annotated[
    int | None,
    Query(
        ge=1,
        le=604_800,
        description="links that anybody may open for so long; without it they ask for the key and last as the picture does",
    ),
]
Bom = Annotated[bool, Query(description="begin with the mark that Excel needs to read Chinese")]


@router.get("/{name}/manifest.csv")
def get_manifest_csv(name: Name, caller: Reader, db: Db, links: To, seconds: Seconds = None, bom: Bom = False) -> Response:  # noqa: FBT002
    """A row for each row of the order, refused ones too as far as `row_errors` names them; no cell is taken for a formula."""
    batch = _batch(db, caller, name)
    return _stream(_csv(_linked(db, batch, _link(links, seconds)), bom=bom), batch, "manifest", "csv", "text/csv; charset=utf-8")


@router.get("/{name}/manifest.jsonl")
def get_manifest_jsonl(name: Name, caller: Reader, db: Db, links: To, seconds: Seconds = None) -> Response:
    """The same, one JSON object in a line."""
    batch = _batch(db, caller, name)
    return _stream(json_lines(_linked(db, batch, _link(links, seconds))), batch, "manifest", "jsonl", "application/x-ndjson")


@router.get("/{name}/archive.zip")
def get_archive(name: Name, caller: Reader, db: Db, links: To, storage: Store, bom: Bom = True) -> Response:  # noqa: FBT002
    """Every picture that is delivered by now and `manifest.csv`; a picture that cannot be read is named in `errors.txt`."""
    batch, link = _batch(db, caller, name), _link(links, None)
    rows = ((_with_url(row, asset, link), asset) for row, asset in manifest_rows(db, batch_id=batch.id))
    return _stream(archive(storage, rows, lambda read: _csv(read, bom=bom)), batch, "pictures", "zip", "application/zip")


Link = Callable[[Asset], str]


def _batch(db: Database, caller: Caller, name: str) -> Batch:
    """Raises Conflict while its rows are not read: a list of none would say that there are none."""
    with db.transaction() as session:
        batch = batch_row(session, tenant=caller.tenant, name=name)
    if batch.unread:
        raise Conflict(f"the rows of batch {name[:80]!r} are being read; ask again in a few seconds", code="batch_unread")
    return batch


def _link(links: Links, seconds: int | None) -> Link:
    return (lambda asset: links.signed(asset, seconds)) if seconds else links.permanent


def _linked(db: Database, batch: Batch, link: Link) -> Iterator[dict[str, Any]]:
    return (_with_url(row, asset, link) for row, asset in manifest_rows(db, batch_id=batch.id))


def _with_url(row: dict[str, Any], asset: Asset | None, link: Link) -> dict[str, Any]:
    told = {**row, "url": link(asset) if asset else None}
    return {name: told[name] for name in COLUMNS}


def _csv(rows: Iterable[dict[str, Any]], *, bom: bool) -> Iterator[bytes]:
    pieces = csv_lines(COLUMNS, rows)
    first = next(pieces)
    yield first if bom else first.removeprefix(codecs.BOM_UTF8)
    yield from pieces


def _stream(pieces: Iterator[bytes], batch: Batch, what: str, ending: str, media_type: str) -> Response:
    own = str(batch.external_id or batch.id).replace(":", "-")  # Windows has no place for a colon
    headers = {"Content-Disposition": content_disposition(f"{what}-{own}.{ending}"), "Cache-Control": "no-store"}
    return StreamingResponse(pieces, headers=headers, media_type=media_type)
