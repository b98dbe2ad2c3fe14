"""An upload of more rows for an order that goes on: numbered behind its own, and under what it said of itself."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Any

from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.status import Priority
from factory.errors import Invalid, Problem
from factory.intake.batch_head import BatchHead, read_head
from factory.intake.check_upload import CheckedUpload, check_upload
from factory.intake.columns import Reading
from factory.intake.uploads import Upload
from factory.jobs.admit import Admission
from factory.jobs.open_order import OpenOrder

# What no order keeps: it is said for the rows of one file.
OF_THE_ROWS = frozenset({"template", "vars", "map", "mapping", "remember", "sheet", "reuse", "not_before", "expires_at", "expires_in"})
OF_THE_ORDER = tuple(name for name in BatchHead.model_fields if name not in OF_THE_ROWS)
REMEDIES = {
    "priority": "leave it out, and change that of the whole order with `POST /api/v1/batches/ID/priority`",
    "external_id": "leave it out: rows may have their own, and an `Idempotency-Key` makes sending twice harmless",
}


@dataclass
class ExtendingUpload(Upload):
    """`after`: the last row that the order has already. Cells stay what the file shows."""

    after: int = 0

    def rows(self, reading: Reading) -> Generator[tuple[int, Any], None, None]:
        with closing(super().rows(reading)) as rows:
            for number, row in rows:
                yield self.after + number, row

    def locate(self, number: int, pointer: str) -> dict[str, str]:
        return super().locate(number - self.after, pointer)


def check_extension(
    db: Database, caller: Caller, admission: Callable[[], Admission], upload: Upload, address: dict[str, Any], order: OpenOrder
) -> CheckedUpload:
    """As `check_upload`: raises Invalid, Malformed. The head that it gives is the order's, with what was said for these rows."""
    more = ExtendingUpload(upload.file, upload.kind, upload.sha256, upload.head, upload.warnings, after=order.last_row)

    def read(query: dict[str, Any], body: dict[str, Any]) -> BatchHead:
        return _read(query, body, order)

    return check_upload(db, caller, lambda: replace(admission(), held=order.rows), more, address, read=read)


def _read(query: dict[str, Any], body: dict[str, Any], order: OpenOrder) -> BatchHead:
    sent, batch = query | body, order.batch
    if repeated := [name for name in OF_THE_ORDER if name in sent]:
        raise Invalid(None, *(_repeated(name, sent[name]) for name in repeated))
    head = read_head(query, body)
    kept = {
        "project": batch.project,
        "user": batch.end_user,
        "campaign": batch.campaign,
        "cost_centre": batch.cost_centre,
        "tags": batch.tags,
        "metadata": batch.customer_metadata,
        "template": head.template or order.template,
        "priority": Priority(batch.priority),
        "deadline": batch.deadline,
        "retention": batch.retention,
    }
    return head.model_copy(update=kept)


def _repeated(name: str, value: Any) -> Problem:
    remedy = REMEDIES.get(name, "leave it out, or send these rows as an order of their own")
    message = f"{name} {str(value)[:60]!r} cannot be said of added rows: what the order says of itself holds for them too; {remedy}"
    return Problem("order_decides", message, f"/{name}", value)
