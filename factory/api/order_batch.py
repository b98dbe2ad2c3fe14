"""From an uploaded file to a committed batch: rows are read, checked and laid aside as a stream."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from factory.api import represent
from factory.api.batch_head import BatchHead, read_head
from factory.api.links import Links
from factory.api.once import Once, order_once, same_order
from factory.api.rows import parsed_rows
from factory.api.uploads import Upload
from factory.db import Database
from factory.domain.batch import Batch
from factory.domain.caller import Caller
from factory.errors import Invalid, NotFound
from factory.jobs.admit import Admission
from factory.jobs.answer_once import Act, Answer
from factory.jobs.find_batches import FoundBatch, count_jobs, find_own_batch
from factory.jobs.prepare_batch import PreparedBatch, prepare_batch
from factory.jobs.submit_batch import submit_batch


def order_batch(
    db: Database, caller: Caller, admission: Callable[[], Admission], links: Links, upload: Upload, query: dict[str, Any], once: Once
) -> Answer:
    """Rows that cannot be accepted are named in the answer; the others are ordered."""
    head = BatchHead()

    def existing() -> Answer | None:
        return _present(db, links, head.external_id, once) if head.external_id else None

    def prepare() -> tuple[str | None, Act]:
        nonlocal head
        read_head(query, upload.head)  # what the address says wrong should not wait for a hundred thousand rows
        with closing(upload.rows()) as rows:
            try:
                prepared = prepare_batch(parsed_rows(rows), admission())
            except Invalid as fault:
                if fault.code == "empty_batch":
                    read_head(query, upload.head)  # a misspelt `rows` says more than "no rows"
                raise
        head = read_head(query, upload.head)
        return f"batch:{head.external_id}" if head.external_id else None, _act(caller, head, prepared, links, upload, once)

    return order_once(db, once, prepare=prepare, existing=existing)


def _act(caller: Caller, head: BatchHead, prepared: PreparedBatch, links: Links, upload: Upload, once: Once) -> Act:
    def act(session: Session, now: ColumnElement[Any]) -> Answer:
        batch_id = submit_batch(session, now, caller, head.as_order(), prepared, request_sha256=once.request_sha256)
        found = FoundBatch(session.get_one(Batch, batch_id), count_jobs(session, batch_id))
        return Answer(202, represent.batch(found, links, warnings=upload.warnings))

    return act


def _present(db: Database, links: Links, external_id: str, once: Once) -> Answer | None:
    try:
        found = find_own_batch(db, tenant=once.tenant, external_id=external_id)
    except NotFound:
        return None
    return same_order(external_id, found.batch.request_sha256, once, lambda: represent.batch(found, links))
