"""One row as sent becomes a JobOrder, or a list of what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from factory.api.field_problems import field_problems
from factory.domain.job_order import JobOrder
from factory.errors import Invalid, Problem
from factory.jobs.prepare_batch import ParsedRow

LONGEST_ROW = 1024 * 1024


def parsed_rows(rows: Iterable[tuple[int, Any]]) -> Iterator[ParsedRow]:
    """Each row on its own: a bad one refuses nothing but itself. A row may be the Invalid that reading it raised."""
    for number, row in rows:
        try:
            if isinstance(row, Invalid):
                raise row
            yield ParsedRow(number, read_order(row))
        except Invalid as fault:
            yield ParsedRow(number, None, fault.problems or (Problem(fault.code, str(fault)),))


def read_order(sent: Any, *, pointer: str = "") -> JobOrder:
    """Raises Invalid with one Problem for each field that is wrong."""
    if not isinstance(sent, dict):
        raise Invalid(None, Problem("not_an_object", f"a job is a JSON object, not {type(sent).__name__}", pointer))
    if holds_nul(sent):
        raise Invalid(None, Problem("invalid_value", "a text holds a NUL character; remove it", pointer))
    try:
        return JobOrder.model_validate(sent)
    except ValidationError as fault:
        raise Invalid(None, *field_problems(fault.errors(include_url=False), pointer=pointer)) from fault


def holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(holds_nul(name) or holds_nul(inner) for name, inner in value.items())
    return isinstance(value, list) and any(map(holds_nul, value))
