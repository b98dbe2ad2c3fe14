"""One row as sent becomes a JobOrder, or a list of what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from pydantic import ValidationError

from factory.api.field_problems import field_problems
from factory.domain.job_order import JobOrder
from factory.errors import Invalid, Problem
from factory.jobs.prepare_batch import ParsedRow

LONGEST_ROW = 1024 * 1024
NAME_EACH_PAIR = Problem("unknown_field", "metadata: name each pair by itself, as metadata.NAME", "/metadata")


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
    if wrong := unstorable(sent):
        raise Invalid(None, Problem("invalid_value", wrong, pointer))
    try:
        return JobOrder.model_validate(sent)
    except ValidationError as fault:
        raise Invalid(None, *field_problems(fault.errors(include_url=False), pointer=pointer)) from fault


def unstorable(sent: Any) -> str | None:
    """What in a JSON value of any depth has no place in UTF-8 or in the database; None when all of it has."""
    left = [sent]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            left += value
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif isinstance(value, float) and not math.isfinite(value):
            return "a number is too large to be stored; make it smaller"
        elif isinstance(value, str) and "\x00" in value:
            return "a text holds a NUL character; remove it"
        elif isinstance(value, str) and not _is_unicode(value):
            return "a text holds half of a surrogate pair; remove it"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
