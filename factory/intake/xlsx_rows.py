"""Rows out of a workbook, as its people see them, a piece at a time: neither sheet nor texts are ever whole in memory."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import IO, Any

from factory.errors import Invalid, Malformed, Problem
from factory.intake.columns import MOST_COLUMNS
from factory.intake.table import Broken, Record, Table
from factory.intake.xlsx_book import LONGEST_TEXT, SharedStrings, number_formats, read_book
from factory.intake.xlsx_numbers import shown
from factory.intake.xlsx_package import Package, fed, parser_for, readable
from factory.intake.xlsx_turn import turn

ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")
REFERENCE = re.compile(r"([A-Za-z]{1,3})[0-9]+")
BOOLEANS = {"1": "TRUE", "0": "FALSE", "true": "TRUE", "false": "FALSE"}
LAST_ROW = 1 << 20
MOST_CELLS = 16_384  # as wide as a sheet of Excel
MOST_ELEMENTS = 20_000_000
MOST_BLANK = 2_500_000  # a blank cell in each row of a sheet is two for each
FOR_A_VALUE = 8


def xlsx_rows(file: IO[bytes], table: Table) -> Generator[tuple[int, Any], None, None]:
    """As csv_rows, of the sheet that the order names, else of the first that is not hidden. Formulas count as they were last shown.

    Raises Malformed, Invalid, Capacity.
    """
    with readable(), closing(Package(file)) as package, turn(package.size):
        book = read_book(package)
        sheet = book.sheet(table.reading.sheet)
        with closing(SharedStrings(package, book.strings)) as strings, package.open(sheet.part) as content:
            cells = _Cells(strings, number_formats(package, book.styles), since_1904=book.since_1904)
            try:
                yield from table.rows(cells.records(content))
            except Invalid as fault:
                if fault.code != "empty_batch":
                    raise
                others = ", ".join(other.name for other in book.sheets[:20] if other != sheet)
                message = f"sheet {sheet.name!r} is empty" + (f"; choose another with sheet=…: {others}" if others else "")
                raise Invalid(None, Problem("empty_batch", message, "/rows", 0)) from fault


class _Cells:
    """Hears a sheet's XML and keeps the rows of one piece of it."""

    def __init__(self, strings: SharedStrings, formats: list[int | str], *, since_1904: bool) -> None:
        self._strings, self._formats, self._since_1904 = strings, formats, since_1904
        self._places: dict[str, int] = {}
        self._done: list[Record] = []
        self._row: list[str] = []
        self._number = 0
        self._at = -1
        self._given: dict[str, str] = {}
        self._said: list[str] = []
        self._size = self._phonetic = 0
        self._elements = self._filled = self._wide = 0
        self._over = False

    def records(self, content: IO[bytes]) -> Iterator[Record]:
        self._parser = parser_for(self._start)
        self._parser.EndElementHandler = self._end
        for _ in fed(content, self._parser):
            yield from self._done
            self._done.clear()
            if self._over:
                return

    def _start(self, element: str, given: dict[str, str]) -> None:
        hears = False
        self._elements += 1
        if self._elements > MOST_BLANK:
            self._bound()
        if element == "c":
            self._wide += 1
            if self._wide > MOST_CELLS:
                message = f"row {self._number} of the sheet holds over {MOST_CELLS} cells; copy the columns that count into a new workbook"
                raise Malformed(message, code="malformed_xlsx")
            self._given = given
            self._said.clear()
            self._size = 0
            self._at = self._place(given.get("r", ""))
        elif element in {"v", "t"}:
            hears = not self._phonetic
        elif element == "rPh":
            self._phonetic += 1
        elif element == "row":
            self._row = []
            self._at = -1
            self._wide = 0
            self._number = max(self._number + 1, min(int(given.get("r", 0)), LAST_ROW))
        self._parser.CharacterDataHandler = self._hear if hears else None

    def _bound(self) -> None:
        if self._elements > MOST_ELEMENTS:
            raise Malformed(f"the sheet holds over {MOST_ELEMENTS} parts of cells; split it", code="xlsx_too_large")
        if self._elements > MOST_BLANK + self._filled * FOR_A_VALUE:
            message = f"the sheet holds over {MOST_BLANK} rows and cells without a value; copy those with values into a new workbook"
            raise Malformed(message, code="xlsx_too_large")

    def _hear(self, piece: str) -> None:
        self._size += len(piece)
        if self._size > LONGEST_TEXT:
            raise Malformed(f"a cell in row {self._number} holds over {LONGEST_TEXT} characters; shorten it", code="malformed_xlsx")
        self._said.append(piece)

    def _end(self, name: str) -> None:
        self._parser.CharacterDataHandler = None
        element = name.rpartition(" ")[2]
        if element == "c":
            if self._said:
                self._put("".join(self._said))
        elif element == "row":
            if self._row:
                self._done.append((self._number, self._row))
        elif element == "rPh":
            self._phonetic -= 1
        elif element == "sheetData":
            self._over = True

    def _place(self, reference: str) -> int:
        """The column from 0; a cell without a reference stands beside the one before."""
        found = REFERENCE.match(reference)
        if found is None:
            return self._at + 1
        letters = found[1].upper()
        if letters not in self._places:
            place = 0
            for letter in letters:
                place = place * 26 + ord(letter) - 64
            self._places[letters] = place - 1
        return self._places[letters]

    def _put(self, text: str) -> None:
        value = self._value(text)
        self._filled += 1
        at = min(self._at, MOST_COLUMNS)  # what stands further right is only known to be there
        self._row += [""] * (at + 1 - len(self._row))
        self._row[at] = value

    def _value(self, text: str) -> str:
        kind = self._given.get("t", "n")
        if kind == "s":
            return unescaped(self._strings.text(int(text)))
        if kind in {"inlineStr", "str"}:
            return unescaped(text)
        if kind == "n":
            style = int(self._given.get("s", 0))
            if style < 0:
                raise Malformed(f"a cell in row {self._number} names style {style}; save the workbook anew as .xlsx", code="malformed_xlsx")
            return shown(text, self._formats[style] if style < len(self._formats) else 0, since_1904=self._since_1904)
        if kind == "b":
            return BOOLEANS.get(text, text)
        return Broken(text) if kind == "e" else text


def unescaped(text: str) -> str:
    """_x000D_ is how a workbook writes a control character."""
    return ESCAPE.sub(_character, text) if "_x" in text else text


def _character(found: re.Match[str]) -> str:
    code = int(found[1], 16)
    return "\ufffd" if 0xD800 <= code < 0xE000 else chr(code)
