"""prepare_retry: the rows of a batch that came to nothing, admitted anew and laid aside. Nothing is written to the database."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, case, select, tuple_

from factory.db import Database
from factory.domain.batch import Batch
from factory.domain.expiry import NO_TIMES, Times
from factory.domain.job import Job
from factory.domain.job_order import JobOrder
from factory.domain.status import JobStatus
from factory.errors import Invalid, Problem
from factory.jobs.admit import Admission, admit
from factory.jobs.change_order import EXPIRES, change_order, check_changes
from factory.jobs.new_job import order_columns
from factory.jobs.prepare_batch import PreparedBatch

PAGE = 500
REMEMBERED = 1024
RETRYABLE = (JobStatus.FAILED, JobStatus.EXPIRED, JobStatus.REJECTED, JobStatus.CANCELED)
LABELS = ("end_user", "campaign", "cost_centre", "tags", "customer_metadata")
KEPT = ("external_id", "cell", *LABELS)
ReadOrder = Callable[[dict[str, Any]], JobOrder]


@dataclass(frozen=True)
class RetryWish:
    """Which rows, and what of their parameters shall change; null takes a parameter back.

    What was canceled is only retried when that is said. So is what a rule refused, unless something changes: it would say no again.
    """

    statuses: frozenset[JobStatus] = frozenset()
    changes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def wanted(self) -> list[str]:
        usual = RETRYABLE[:3] if self.changes else RETRYABLE[:2]
        return sorted(status.value for status in (self.statuses or usual))


def prepare_retry(db: Database, batch: Batch, wish: RetryWish, admission: Admission, read: ReadOrder) -> PreparedBatch:
    """Rows that cannot be ordered as changed are refused and stay as they are. Raises Invalid when all of them are."""
    check_changes(wish.changes)
    prepared = PreparedBatch()
    judge = lru_cache(REMEMBERED)(admission.judge_prompt)
    admission = replace(admission, judge_prompt=judge, campaign=batch.campaign, project=batch.project)
    for row in _rows(db, batch.id, wish.wanted):
        try:
            order = read(_asked(row, wish.changes))
            keeps = row.expires_at is not None and not wish.changes.keys() & EXPIRES
            whole = Times(expires_at=row.expires_at) if keeps else NO_TIMES  # perhaps the whole order's, which no row repeats
            columns = order_columns(admit(order, replace(admission, whole=whole)))
        except Invalid as fault:
            prepared.refuse(row.row_no, _pointed(fault, wish.changes))
            continue
        kept = {name: getattr(row, name) for name in KEPT}
        if keeps:
            kept["expires_at"] = row.expires_at.isoformat()
        prepared.add(row.row_no, columns | kept | {"placed": row.cell is not None, "retry_of": str(row.id)})
    if prepared.refused and not prepared.rows:
        problems = [
            Problem(error["code"], error["detail"], error["pointer"], error["value"], {"row": error["row"]})
            for error in prepared.errors[:100]
        ]
        raise Invalid("no row can be ordered as changed; nothing was retried", *problems, code="no_valid_rows")
    return prepared


def _asked(row: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """An `expires_at` that has passed falls away: who retries what expired wants it still."""
    template = row.template if row.template and "@" in row.template else None
    order = change_order(row.requested, changes, template=template)
    if row.expires_at is None and "expires_at" not in changes:
        order.pop("expires_at", None)
    return order


def _rows(db: Database, batch_id: uuid.UUID, statuses: list[str]) -> Iterator[Any]:
    """In pages, so that no transaction stays open while rows are checked."""
    after: list[ColumnElement[bool]] = []
    to_come = case((Job.expires_at > db.now(), Job.expires_at)).label("expires_at")
    columns: Any = (Job.id, Job.row_no, Job.requested, Job.template, to_come, *(getattr(Job, name) for name in KEPT))
    while True:
        mine = [Job.batch_id == batch_id, Job.status.in_(statuses), Job.superseded.is_(False), *after]
        with db.transaction() as session:
            page = session.execute(select(*columns).where(*mine).order_by(Job.row_no, Job.id).limit(PAGE)).all()
        yield from page
        if len(page) < PAGE:
            return
        last = page[-1]
        after = [Job.row_no >= last.row_no, tuple_(Job.row_no, Job.id) > (last.row_no, last.id)]


def _pointed(fault: Invalid, changes: Mapping[str, Any]) -> list[Problem]:
    """What a change got wrong is shown in the changes, not in a row that the customer did not send."""
    problems = fault.problems or (Problem(fault.code, str(fault)),)
    return [
        replace(problem, pointer=f"/changes{problem.pointer}")
        if problem.pointer.split("/")[1:2] and problem.pointer.split("/")[1] in changes
        else problem
        for problem in problems
    ]
