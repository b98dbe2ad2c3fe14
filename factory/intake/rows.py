"""One row as sent becomes a JobOrder, or a list of what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson
from pydantic import ValidationError

from factory.domain.job_order import JobOrder
from factory.errors import Invalid, Problem
from factory.intake.columns import UNUSED, fold
from factory.intake.field_problems import field_problems
from factory.intake.table import put
from factory.jobs.prepare_batch import ParsedRow

LONGEST_ROW = 1024 * 1024


@dataclass(frozen=True)
class RowDefaults:
    """What the order says for rows that say nothing: its template, and values for the template's holes.

    `mapping` renames the fields of rows that are objects; the columns of a table have been read by then.
    """

    template: str | None = None
    vars: Mapping[str, Any] = field(default_factory=dict)
    mapping: Mapping[str, str] = field(default_factory=dict)

    def complete(self, row: dict[str, Any]) -> dict[str, Any]:
        """A row with a prompt of its own is not drawn by the order's template."""
        if self.mapping:
            row = self._renamed(row)
        if self.template is not None and row.get("template") is None and row.get("prompt") is None:
            row = {**row, "template": self.template}
        if self.vars and row.get("template") is not None:
            own = row.get("vars")
            if own is None or isinstance(own, dict):
                row = {**row, "vars": {**self.vars, **(own or {})}}
        return row

    def _renamed(self, row: dict[str, Any]) -> dict[str, Any]:
        renamed: dict[str, Any] = {}
        for name, value in row.items():
            target = self.mapping.get(fold(name), name)
            if target == name:
                renamed[name] = {**value} if isinstance(value, dict) else value
            elif target != UNUSED and value is not None:
                put(renamed, target, value)
        return renamed


AS_SENT = RowDefaults()


def parsed_rows(rows: Iterable[tuple[int, Any]], defaults: RowDefaults = AS_SENT) -> Iterator[ParsedRow]:
    """Each row on its own: a bad one refuses nothing but itself. A row may be the Invalid that reading it raised."""
    plain = defaults == AS_SENT
    for number, row in rows:
        try:
            if isinstance(row, Invalid):
                raise row
            yield ParsedRow(number, read_order(row if plain or not isinstance(row, dict) else defaults.complete(row)))
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
    try:
        written = orjson.dumps(sent)
    except TypeError:  # half a surrogate pair, or what only this writer cannot write
        return _unstorable_part(sent)
    # It writes null for what is no finite number; nearly all rows have neither, and are not walked through.
    return _unstorable_part(sent) if b"\\u0000" in written or b"null" in written else None


def _unstorable_part(sent: Any) -> str | None:
    left = [sent]
    while left:
        value = left.pop()
        if isinstance(value, str):
            if "\x00" in value:
                return "a text holds a NUL character; remove it"
            if not value.isascii() and not _is_unicode(value):
                return "a text holds half of a surrogate pair; remove it"
        elif isinstance(value, dict):
            left += value
            left += value.values()
        elif isinstance(value, list):
            left += value
        elif isinstance(value, float) and not math.isfinite(value):
            return "a number is too large to be stored; make it smaller"
    return None


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
