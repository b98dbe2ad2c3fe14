"""A workbook's own facts: its sheets, how its cells show numbers, and the texts that its cells share."""

from __future__ import annotations

import os
import struct
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from typing import IO

from factory.errors import Invalid, Malformed, Problem
from factory.intake.columns import fold
from factory.intake.xlsx_package import Package, Sheet, fed, parser_for

HELD = 1024 * 1024
REMEMBERED = 2048
LONGEST_TEXT = 128 * 1024
MOST_FORMATS = 100_000
MOST_TEXTS = 1_048_576  # as many as a sheet has rows
MOST_PIECES = 4_000_000
OFFSET = struct.Struct("<QQ")


@dataclass(frozen=True)
class Book:
    """`since_1904`: how its dates count. `styles`, `strings`: the parts, where there are any."""

    sheets: tuple[Sheet, ...]
    since_1904: bool
    styles: str | None
    strings: str | None

    def sheet(self, wanted: str | None) -> Sheet:
        """The named one, or the first that is not hidden. Raises Invalid that lists the names."""
        names = ", ".join(sheet.name for sheet in self.sheets[:20])
        if wanted is not None:
            for sheet in self.sheets:
                if fold(sheet.name) == fold(wanted):
                    return sheet
            raise Invalid(None, Problem("xlsx_sheet_missing", f"no sheet is called {wanted[:60]!r}; there are {names}", "/sheet", wanted))
        for sheet in self.sheets:
            if not sheet.hidden:
                return sheet
        raise Invalid(None, Problem("xlsx_sheet_missing", f"every sheet is hidden; name one with sheet=…: {names}", "/sheet"))


def read_book(package: Package) -> Book:
    """Raises Malformed when it holds no worksheet."""
    main = next((part for kind, part in package.related("").values() if kind == "officeDocument"), "xl/workbook.xml")
    related = package.related(main)
    sheets: list[Sheet] = []
    since_1904 = False

    def start(element: str, given: dict[str, str]) -> None:
        nonlocal since_1904
        if element == "workbookPr":
            since_1904 = given.get("date1904") in {"1", "true", "on"}
        elif element == "sheet" and (found := related.get(_id(given))) and found[0] == "worksheet":
            sheets.append(Sheet(given.get("name", ""), found[1], given.get("state", "visible") != "visible"))

    package.read(main, start)
    if not sheets:
        raise Malformed("the workbook holds no worksheet; save it anew as .xlsx", code="malformed_xlsx")
    parts = {kind: part for kind, part in related.values() if package.holds(part)}
    return Book(tuple(sheets), since_1904, parts.get("styles"), parts.get("sharedStrings"))


def _id(given: dict[str, str]) -> str:
    """The relationship's, whatever its namespace."""
    return next((value for name, value in given.items() if name.endswith(" id")), "")


def number_formats(package: Package, part: str | None) -> list[int | str]:
    """For each style of a cell its number format: a built-in one's number, or the code."""
    codes: dict[int, str] = {}
    styles: list[int] = []
    inside = ""

    def start(element: str, given: dict[str, str]) -> None:
        nonlocal inside
        if element in {"cellXfs", "cellStyleXfs", "dxfs"}:
            inside = element
        elif element == "numFmt" and inside != "dxfs" and len(codes) < MOST_FORMATS:
            codes[int(given.get("numFmtId", 0))] = given.get("formatCode", "")[:200]
        elif element == "xf" and inside == "cellXfs" and len(styles) < MOST_FORMATS:
            styles.append(int(given.get("numFmtId", 0)))

    if part is not None:
        package.read(part, start)
    return [codes.get(style, style) for style in styles]


class SharedStrings:
    """The texts that cells name by number, on disk: a hundred thousand prompts would not be flat memory."""

    def __init__(self, package: Package, part: str | None) -> None:
        self._texts = tempfile.TemporaryFile(buffering=HELD)  # noqa: SIM115 - closed with the workbook
        self._places = tempfile.TemporaryFile(buffering=HELD // 8)  # noqa: SIM115
        self._count = self._at = 0
        if part is not None:
            with package.open(part) as content:
                self._read(content)
        self._texts.flush()
        self._places.flush()
        self.text = lru_cache(REMEMBERED)(self._text)

    def _text(self, number: int) -> str:
        """Raises ValueError for a number that names no text."""
        if not 0 <= number < self._count:
            raise ValueError(f"no shared text {number}")
        place = os.pread(self._places.fileno(), OFFSET.size, number * OFFSET.size)
        at, length = OFFSET.unpack(place)
        return os.pread(self._texts.fileno(), length, at).decode()

    def _read(self, content: IO[bytes]) -> None:
        said: list[str] = []
        size = phonetic = pieces = 0

        def start(element: str, _: dict[str, str]) -> None:
            nonlocal phonetic, pieces, size
            pieces += 1
            if pieces > MOST_PIECES:
                raise _too_many(f"{MOST_PIECES} pieces of shared texts")
            if element == "si":
                said.clear()
                size = 0
            elif element == "rPh":
                phonetic += 1
            parser.CharacterDataHandler = text if element == "t" and not phonetic else None

        def text(piece: str) -> None:
            nonlocal size
            size += len(piece)
            if size > LONGEST_TEXT:
                raise Malformed(f"a cell holds over {LONGEST_TEXT} characters; shorten it", code="malformed_xlsx")
            said.append(piece)

        def end(name: str) -> None:
            nonlocal phonetic
            parser.CharacterDataHandler = None
            if name.endswith("si") and name.rpartition(" ")[2] == "si":
                self._keep("".join(said))
            elif name.endswith("rPh"):
                phonetic -= 1

        parser = parser_for(start)
        parser.EndElementHandler = end
        for _ in fed(content, parser):
            pass

    def _keep(self, text: str) -> None:
        raw = text.encode("utf-8", "replace")
        self._texts.write(raw)
        self._places.write(OFFSET.pack(self._at, len(raw)))
        self._at += len(raw)
        self._count += 1
        if self._count > MOST_TEXTS:
            raise _too_many(f"{MOST_TEXTS} shared texts")

    def close(self) -> None:
        self._texts.close()
        self._places.close()


def _too_many(what: str) -> Malformed:
    return Malformed(
        f"the workbook holds over {what}; copy the sheet that is meant into a new workbook, or split it", code="xlsx_too_large"
    )
