"""Table: records of cells become rows of an order, and what is wrong with a row is told by row, column and cell."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

from factory.errors import Invalid, Problem
from factory.intake.columns import MOST_COLUMNS, Column, Reading, Warnings, check_header, has_a_picture, read_header

TITLE_ROWS = 10
LISTED = re.compile(r"[|;；、]")
ROW_POINTER = re.compile(r"^/rows/\d+")
Record = tuple[int, list[str]]
NUMBERS = frozenset({"width", "height", "size", "seed", "num_inference_steps", "guidance_scale", "candidate"})
PRIORITIES = {"标准": "standard", "加急": "interactive", "批量": "bulk", "闲时": "offpeak"}


class Broken(str):
    """The text of a cell that shows an error instead of a value."""

    __slots__ = ()


class Table:
    """One table of an upload. The header is the first row that says what to draw, so titles above it do no harm."""

    def __init__(self, reading: Reading | None = None, warnings: Warnings | None = None) -> None:
        self.reading = reading or Reading()
        self.warnings: Warnings = [] if warnings is None else warnings
        self._columns: list[Column] = []
        self._header_at = 0
        self._plain: list[tuple[int, str]] = []
        self._others: list[tuple[int, str]] = []

    def rows(self, records: Iterable[Record]) -> Iterator[tuple[int, Any]]:
        """(row number from 1 below the header, row or what is wrong with it). Blank rows are counted and skipped.

        Raises Invalid for a table that nothing can be ordered from.
        """
        left = iter(records)
        below = self._read_header(left)
        for at, cells in chain(below, left):
            if any(map(str.strip, cells)):
                yield at - self._header_at, self._row(at, cells)

    def locate(self, number: int, pointer: str) -> dict[str, str]:
        """Where a spreadsheet shows the field that `pointer` names: header and cell; empty where no column fills it."""
        column = self._column_of(ROW_POINTER.sub("", pointer))
        return {"column": column.header, "cell": f"{column.letter}{number + self._header_at}"} if column else {}

    def _column_of(self, pointer: str) -> Column | None:
        parts = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:3]]
        if not parts:
            return None
        target = ".".join(parts) if parts[0] in {"metadata", "vars"} else parts[0]
        filling = {name: column for column in self._columns for name in column.fills}
        return filling.get(target) or (filling.get("size") if target in {"width", "height"} else None)

    def _read_header(self, records: Iterator[Record]) -> list[Record]:
        """Returns the records below the header that were read while it was looked for."""
        tried: list[Record] = []
        found = best = 0
        for at, cells in records:
            if not any(map(str.strip, cells)):
                continue
            tried.append((at, cells))
            columns = read_header(cells, self.reading) if len(cells) <= MOST_COLUMNS else []
            known = sum(bool(column.fills) for column in columns) if has_a_picture(columns, self.reading) else 0
            if known > best:
                found, best = len(tried) - 1, known
            # With a template a title may hold a known word too: then the row with the most of them is the header.
            if len(tried) == TITLE_ROWS or (best and not self.reading.templated):
                break
        if not tried:
            raise Invalid(None, Problem("empty_batch", "the file is empty; send a header and at least one row", "/rows", 0))
        self._header_at, header = tried[found]
        while header and not header[-1].strip():
            header = header[:-1]
        self._columns = read_header(header, self.reading)
        check_header(self._columns, self.reading, self.warnings)
        pairs = [(column.at, target) for column in self._columns for target in column.fills]
        self._others = [(at, target) for at, target in pairs if "." in target or target in {"tags", "loras"}]
        self._plain = [pair for pair in pairs if pair not in self._others]
        return tried[found + 1 :]

    def _row(self, at: int, cells: list[str]) -> Any:
        if any(map(str.strip, cells[len(self._columns) :])):
            message = f"the row has {len(cells)} cells, the header {len(self._columns)}; quote cells with commas"
            return Invalid(None, Problem("csv_too_many_cells", message))
        if Broken in map(type, cells) and (problems := self._broken(at, cells)):
            return Invalid(None, *problems)
        row: dict[str, Any] = {}
        have = len(cells)
        for place, name in self._plain:
            if place < have and (cell := cells[place].strip()):
                row[name] = cell if cell.isascii() else _in_ascii(name, cell)
        for place, name in self._others:
            if place < have and (cell := cells[place].strip()):
                put(row, name, cell)
        return row

    def _broken(self, at: int, cells: list[str]) -> list[Problem]:
        return [
            Problem(
                "cell_shows_error",
                f"{column.header} in {column.letter}{at} shows {cells[column.at]}; mend the formula",
                f"/{column.fills[0].replace('.', '/')}",
                str(cells[column.at]),
            )
            for column in self._columns
            if column.fills and column.at < len(cells) and isinstance(cells[column.at], Broken)
        ]


def _in_ascii(name: str, cell: str) -> str:
    """Full-width digits and the Chinese names of priorities, in the columns where they mean something."""
    if name == "priority":
        return PRIORITIES.get(cell, cell)
    return unicodedata.normalize("NFKC", cell) if name in NUMBERS else cell


def put(row: dict[str, Any], target: str, value: Any) -> None:
    """Set what a column or a mapped name fills; lists stand in one cell, with | ; or 、 between."""
    group, dot, name = target.partition(".")
    if dot:
        pairs = row.setdefault(group, {})
        if isinstance(pairs, dict):
            pairs[name] = value
    elif isinstance(value, str) and target == "tags":
        row["tags"] = [part for part in map(str.strip, LISTED.split(value)) if part]
    elif isinstance(value, str) and target == "loras":
        row["loras"] = [_lora(part) for part in map(str.strip, LISTED.split(value)) if part]
    else:
        row[target] = value


def _lora(text: str) -> dict[str, str]:
    """`name` or `name:scale`."""
    name, colon, scale = text.rpartition(":")
    return {"name": name, "scale": scale} if colon else {"name": text}
