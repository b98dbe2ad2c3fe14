"""judge_cells: every cell of a catalogue as a frozen spec, or with what is wrong with it; one at a time, whatever the size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, NoReturn

from factory.domain.catalogue import Catalogue
from factory.domain.expiry import Times
from factory.domain.generation_spec import GenerationSpec
from factory.domain.job_order import JobOrder
from factory.domain.matrix import MatrixCell, cells, count, describe, row_problems
from factory.errors import Invalid, Problem
from factory.jobs.admit import Admission, Admitted, admit
from factory.jobs.external_ids import ExternalIds

REMEMBERED = 1024


@dataclass(frozen=True)
class JudgedCell:
    """`row` is the number of its row. Where a whole row is wrong there is no key, and `cells` says how many it stands for."""

    key: str | None
    row: int
    admitted: Admitted | None = None
    problems: list[Problem] = field(default_factory=list)
    cells: int = 1

    @property
    def spec(self) -> GenerationSpec | None:
        return self.admitted.spec if self.admitted else None


def judge_cells(
    catalogue: Catalogue, rows: Iterable[tuple[int, Any]], admission: Admission, read: Callable[[dict[str, Any]], JobOrder]
) -> Iterator[JudgedCell]:
    """Raises Invalid when there are no rows, or more cells than an order may have rows."""
    each, most = count(catalogue), admission.limits.max_rows
    # The cells of a row differ in size or number more often than in prompt.
    admission = replace(admission, judge_prompt=lru_cache(REMEMBERED)(admission.judge_prompt), whole=Times.of(catalogue))
    skus = ExternalIds()
    total = 0
    left = iter(rows)
    for number, row in left:
        total += 1
        if total * each > most:
            _too_many(catalogue, total + sum(1 for _ in left), each, most)
        problems = _row_problems(number, row, skus)
        if problems:
            yield JudgedCell(None, number, problems=problems, cells=each)
            continue
        for cell in cells(catalogue, row, admission.templates):
            yield _judge(cell, number, admission, read)
    if not total:
        raise Invalid(None, Problem("empty_batch", "the catalogue has no rows; give them in `rows`, or in a file beside it", "/rows", 0))


def _row_problems(number: int, row: Any, skus: ExternalIds) -> list[Problem]:
    if isinstance(row, Invalid):
        return list(row.problems) or [Problem(row.code, str(row))]
    if problems := row_problems(row):
        return problems
    sku = str(row["sku"]).strip()
    if (first := skus.first(sku, number)) != number:
        message = f"sku {sku[:60]!r} stands in row {first} too; a catalogue has each product once"
        return [Problem("catalogue_sku_repeated", message, "/sku", sku)]
    return []


def _judge(cell: MatrixCell, number: int, admission: Admission, read: Callable[[dict[str, Any]], JobOrder]) -> JudgedCell:
    try:
        admitted = admit(read(cell.order), admission)
    except Invalid as fault:
        return JudgedCell(cell.key, number, problems=list(fault.problems) or [Problem(fault.code, str(fault))])
    if admitted.refusal:
        refused = admitted.refusal
        return JudgedCell(cell.key, number, admitted, [Problem(refused.code, str(refused), "/prompt", extra=refused.detail)])
    return JudgedCell(cell.key, number, admitted)


def _too_many(catalogue: Catalogue, rows: int, each: int, most: int) -> NoReturn:
    message = f"the catalogue has {rows * each} pictures ({describe(catalogue, rows)}); at most {most} are planned at once, so split it"
    raise Invalid(None, Problem("too_many_cells", message, "/rows", rows * each))
