"""manifest: what became of each row of an order, in the order of its rows, while it runs or after; refused rows too."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from heapq import merge
from itertools import groupby
from operator import itemgetter
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, select, tuple_

from factory.db import Database
from factory.domain.asset import Asset
from factory.domain.batch import Batch
from factory.domain.job import Job
from factory.domain.status import JobStatus
from factory.storage.naming import file_name

PAGE = 500
# A row without its `url`, and its picture if it is delivered and still kept.
Line = tuple[dict[str, Any], Asset | None]
OF_THE_ORDER = ("slot", "locale", "candidate")
DELIVERED = JobStatus.SUCCEEDED.value
# No status of a job: no job was made of such a row.
REFUSED = "refused"
# Of a reused picture the asset belongs to the job that was drawn.
PICTURE = and_(Asset.job_id == func.coalesce(Job.twin_id, Job.id), Job.status == DELIVERED)
ROWS: Any = (
    select(
        Job.id,
        Job.row_no,
        Job.external_id,
        Job.sku,
        Job.status,
        Job.hold,
        Job.project,
        Job.day,
        Job.seq,
        Job.twin_id,
        Job.retry_of,
        *(Job.requested[name].astext.label(name) for name in OF_THE_ORDER),
        *(Job.spec[name].astext.label(name) for name in ("seed", "width", "height", "label_profile")),
        *(Job.error[name].astext.label(f"error_{name}") for name in ("code", "detail")),
        Asset,
    )
    .outerjoin(Asset, PICTURE)
    .where(Job.superseded.is_(False))
    .order_by(Job.row_no, Job.id)
)
# `url` comes from whoever knows where clients reach us.
COLUMNS = [
    "row",
    "external_id",
    "sku",
    *OF_THE_ORDER,
    "status",
    "reason",
    "filename",
    "url",
    "sha256",
    "seed",
    "size",
    "label_profile",
    "job_id",
    "retry_of",
    "reused",
]


def manifest_rows(db: Database, *, batch_id: uuid.UUID) -> Iterator[Line]:
    """Each row of the batch, and where it stood in the order each that was refused, as far as the batch keeps their errors."""
    with db.transaction() as session:
        errors = session.scalars(select(Batch.row_errors).where(Batch.id == batch_id)).one()
    yield from merge(_taken(db, batch_id), _refused(errors), key=lambda line: line[0]["row"])


def _taken(db: Database, batch_id: uuid.UUID) -> Iterator[Line]:
    """Those that became jobs.

    A row is read whole at one moment; a page at a time, so that no transaction stays open while the reader is slow, and memory
    stays flat. Of a row that was retried only the newest job counts.
    """
    after: list[ColumnElement[bool]] = []
    while True:
        with db.transaction() as session:
            page = session.execute(ROWS.where(Job.batch_id == batch_id, *after).limit(PAGE)).all()
        for row in page:
            yield _told(row), row.Asset if row.Asset and row.Asset.deleted_at is None else None
        if len(page) < PAGE:
            return
        # The first condition is for the index, which does not hold the id.
        last = page[-1]
        after = [Job.row_no >= last.row_no, tuple_(Job.row_no, Job.id) > (last.row_no, last.id)]


def _refused(errors: Iterable[dict[str, Any]]) -> Iterator[Line]:
    """One line for each row, however much is wrong with it. Errors come as they were found, not by row."""
    of_row = itemgetter("row")
    for number, found in groupby(sorted(errors, key=of_row), key=of_row):
        reasons = dict.fromkeys(map(_error, found))  # the cells of a catalogue's row may all say the same
        yield {**dict.fromkeys(COLUMNS), "row": number, "status": REFUSED, "reason": "; ".join(reasons)}, None


def _error(error: dict[str, Any]) -> str:
    where = f" (column {error['column']}, cell {error['cell']})" if "column" in error else ""
    return f"{error['code']}: {error['detail']}{where}"


def _told(row: Row[Any]) -> dict[str, Any]:
    asset: Asset | None = row.Asset
    return {
        "row": row.row_no,
        "external_id": row.external_id,
        "sku": row.sku,
        "slot": row.slot,
        "locale": row.locale,
        "candidate": int(row.candidate) if row.candidate else None,
        "status": row.status,
        "reason": _reason(row),
        "filename": file_name(row.project, row.day, row.seq) if asset else None,
        "sha256": asset.sha256 if asset else None,
        "seed": int(row.seed) if row.seed else None,
        "size": f"{row.width}x{row.height}",
        "label_profile": row.label_profile,
        "job_id": str(row.id),
        "retry_of": str(row.retry_of) if row.retry_of else None,
        "reused": row.twin_id is not None and row.status == DELIVERED,
    }


def _reason(row: Row[Any]) -> str | None:
    """Why there is no picture, in one line."""
    if row.status == DELIVERED:
        return f"deleted on {row.Asset.deleted_at:%Y-%m-%d}: its retention has ended" if row.Asset and row.Asset.deleted_at else None
    if row.error_code:
        return f"{row.error_code}: {row.error_detail or ''}".rstrip(": ")
    return f"on hold: {row.hold}" if row.hold else None
