"""prepare_batch: read a stream of rows, check each one, and lay the good ones aside in a file, so that memory stays flat."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import islice
from typing import IO, Any

import orjson

from factory.domain.job_order import JobOrder
from factory.domain.status import JobStatus
from factory.errors import Invalid, Problem
from factory.jobs.admit import Admission, admit
from factory.jobs.breathe import breathe
from factory.jobs.external_ids import ExternalIds
from factory.jobs.new_job import Wanted, order_columns, wanted
from factory.jobs.shares import MEMBERS

KEPT_ERRORS = 1000
REMEMBERED = 1024
IN_MEMORY = 1024 * 1024
Locate = Callable[[int, str], dict[str, str]]


def _nowhere(_: int, __: str) -> dict[str, str]:
    return {}


@dataclass(frozen=True)
class ParsedRow:
    """One row of an order: `number` counts from 1 as a person would; either `order` or `problems` is set."""

    number: int
    order: JobOrder | None
    problems: tuple[Problem, ...] = ()


@dataclass
class PreparedBatch:
    """Checked rows, not yet written to the database. `locate` says where in its file a row shows a field: column and cell.

    `next_row` is where to go on with what was cut off. `may_repeat`: the seed of a row was said, so that it may equal another row.
    `drawn` counts the rows that no rule refused, as they were added; with more than MEMBERS kinds it is not complete.
    """

    file: IO[bytes] = field(default_factory=lambda: tempfile.SpooledTemporaryFile(max_size=IN_MEMORY))  # noqa: SIM115
    rows: int = 0
    refused: int = 0
    errors: list[dict[str, Any]] = field(default_factory=list)
    external_ids: ExternalIds = field(default_factory=ExternalIds)
    locate: Locate = _nowhere
    next_row: int | None = None
    drawn: Counter[Wanted] = field(default_factory=Counter)
    may_repeat: bool = False

    def add(self, number: int, columns: dict[str, Any]) -> None:
        self.file.write(orjson.dumps([number, columns]) + b"\n")
        self.rows += 1
        self.may_repeat = self.may_repeat or not columns["by_chance"]
        if columns["status"] == JobStatus.QUEUED and len(self.drawn) <= MEMBERS:
            self.drawn[wanted(columns)] += 1

    def refuse(self, number: int, problems: Iterable[Problem]) -> None:
        self.refused += 1
        for problem in problems:
            if len(self.errors) < KEPT_ERRORS:
                self.errors.append({"row": number, **problem.as_dict(), **self.locate(number, problem.pointer)})

    def cut(self, places: int, why: Callable[[int], Problem]) -> None:
        """Only the first `places` rows stay; `why` says what each other is told."""
        if self.rows <= places:
            return  # and the file need not be read for that
        for number, _ in islice(self, places, None):
            self.next_row = self.next_row or number
            self.refuse(number, [why(number)])
        self.rows = places

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any]]]:
        self.file.seek(0)
        for line in breathe(islice(self.file, self.rows)):
            number, columns = orjson.loads(line)
            yield number, columns


def prepare_batch(rows: Iterable[ParsedRow], admission: Admission, *, locate: Locate = _nowhere) -> PreparedBatch:
    """Raises Invalid when there are no rows, too many rows, or not one that can be accepted."""
    prepared = PreparedBatch(locate=locate)
    # Pictures of one product differ in size or number, not in prompt.
    admission = replace(admission, judge_prompt=lru_cache(REMEMBERED)(admission.judge_prompt))
    left = admission.limits.max_rows - admission.held
    total = 0
    for row in breathe(rows):
        total += 1
        if total > left:
            raise _too_many(admission)
        _prepare_row(row, admission, prepared)
    if total == 0:
        raise Invalid(None, Problem("empty_batch", "the order has no rows; send at least one", "/rows", 0))
    if prepared.rows == 0:
        raise Invalid("no row can be accepted", *_as_problems(prepared), code="no_valid_rows")
    return prepared


def _too_many(admission: Admission) -> Invalid:
    limit, held = admission.limits.max_rows, admission.held
    remedy = f", and this one has {held} already; order the others as an order of their own" if held else "; split it"
    return Invalid(None, Problem("too_many_rows", f"an order holds at most {limit} rows{remedy}", "/rows", f"more than {limit - held}"))


def _prepare_row(row: ParsedRow, admission: Admission, prepared: PreparedBatch) -> None:
    if row.order is None:
        prepared.refuse(row.number, row.problems)
        return
    if row.order.project is not None:
        message = "project belongs to the order, not to a row; send it beside the rows"
        prepared.refuse(row.number, [Problem("project_in_row", message, "/project", row.order.project)])
        return
    external_id = row.order.external_id
    if external_id is not None:
        first = prepared.external_ids.first(external_id, row.number)
        if first != row.number:
            message = f"external_id {external_id!r} stands in row {first} too; each row needs its own"
            prepared.refuse(row.number, [Problem("external_id_repeated", message, "/external_id", external_id)])
            return
    try:
        admitted = admit(row.order, admission)
    except Invalid as fault:
        if external_id is not None:
            prepared.external_ids.forget(external_id)
        prepared.refuse(row.number, fault.problems)
        return
    prepared.add(row.number, order_columns(admitted))


def _as_problems(prepared: PreparedBatch) -> list[Problem]:
    return [
        Problem(
            error["code"],
            error["detail"],
            f"/rows/{error['row']}{error['pointer']}",
            error["value"],
            {name: error[name] for name in ("row", "column", "cell") if name in error},
        )
        for error in prepared.errors[:100]
    ]
