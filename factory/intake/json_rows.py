"""Rows out of JSON and NDJSON, a piece at a time: no list of a hundred thousand rows is ever in memory."""

from __future__ import annotations

import codecs
import json
from collections.abc import Generator
from typing import IO, Any

import orjson

from factory.errors import Invalid, Malformed, Problem
from factory.intake.rows import LONGEST_ROW

CHUNK = 64 * 1024
SPACE = " \t\r\n"
AFTER = frozenset(SPACE + ",:]}")


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


DECODER = json.JSONDecoder(parse_constant=_no_constant)


def ndjson_rows(file: IO[bytes]) -> Generator[tuple[int, Any], None, None]:
    """(row number, value or what is wrong with the line). Blank lines count as lines but are no rows."""
    number = 0
    while line := file.readline(LONGEST_ROW + 1):
        number += 1
        if len(line) > LONGEST_ROW:
            while not line.endswith(b"\n") and (line := file.readline(LONGEST_ROW)):
                pass
            yield number, Invalid(None, Problem("row_too_long", f"line {number} is longer than {LONGEST_ROW} bytes"))
            continue
        if text := line.removeprefix(codecs.BOM_UTF8 if number == 1 else b"").strip():
            try:
                yield number, orjson.loads(text)
            except orjson.JSONDecodeError as fault:
                yield number, Invalid(None, Problem("malformed_json", f"line {number} is no JSON in UTF-8: {fault}"))


def json_rows(file: IO[bytes], head: dict[str, Any]) -> Generator[tuple[int, Any], None, None]:
    """A list of rows, or an object whose `rows` is one; its other fields land in `head`. Raises Malformed."""
    scan = _Scanner(file)
    if scan.next() == "[":
        yield from _list(scan)
    elif scan.next() == "{":
        yield from _object(scan, head)
    else:
        raise Malformed('the body must be a list of rows or {"rows": [...]}', code="malformed_json")
    if scan.next():
        raise scan.wrong("something follows the end")


def _list(scan: _Scanner) -> Generator[tuple[int, Any], None, None]:
    scan.take("[")
    number = 0
    if scan.next() == "]":
        scan.take("]")
        return
    while True:
        number += 1
        yield number, scan.value()
        if scan.take(",]") == "]":
            return


def _object(scan: _Scanner, head: dict[str, Any]) -> Generator[tuple[int, Any], None, None]:
    scan.take("{")
    seen = False
    if scan.next() == "}":
        scan.take("}")
        return
    while True:
        name = scan.value()
        if not isinstance(name, str):
            raise scan.wrong("a field name must be a text")
        scan.take(":")
        if name == "rows" and not seen and scan.next() == "[":
            seen = True
            yield from _list(scan)
        elif name == "rows":
            raise Invalid(None, Problem("wrong_type", "rows must be one list of jobs", "/rows"))
        else:
            head[name] = scan.value()
        if scan.take(",}") == "}":
            return


class _Scanner:
    """Reads JSON values one after another; holds one row and one chunk."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.text, self.at, self.before = file, "", 0, 0
        self.decoder = codecs.getincrementaldecoder("utf-8-sig")()

    def next(self) -> str:
        """The next character that is no space, or nothing at the end. It is not taken."""
        while True:
            while self.at < len(self.text) and self.text[self.at] in SPACE:
                self.at += 1
            if self.at < len(self.text) or not self._more():
                return self.text[self.at : self.at + 1]

    def take(self, one_of: str) -> str:
        found = self.next()
        if not found or found not in one_of:
            raise self.wrong(f"expected {' or '.join(one_of)}")
        self.at += 1
        return found

    def value(self) -> Any:
        self.next()
        while True:
            try:
                value, end = DECODER.raw_decode(self.text, self.at)
            except (ValueError, RecursionError) as fault:
                # Wrong, or not all of it here yet: more text tells, up to the longest row.
                if len(self.text) - self.at > LONGEST_ROW:
                    raise self.wrong(f"no value of at most {LONGEST_ROW} characters") from fault
                if not self._more():
                    raise self.wrong(getattr(fault, "msg", str(fault))) from fault
                continue
            # `1` may be the start of `1.5`: a value has ended only where something else begins.
            if self.text[end : end + 1] not in AFTER and len(self.text) - end < CHUNK and self._more():
                continue
            self.at = end
            return value

    def wrong(self, what: str) -> Malformed:
        return Malformed(f"the body is no valid JSON at character {self.before + self.at}: {what}", code="malformed_json")

    def _more(self) -> bool:
        """Twice as much each time, so that a long row is not read anew for every chunk."""
        raw = self.file.read(max(CHUNK, len(self.text) - self.at))
        try:
            fresh = self.decoder.decode(raw, final=not raw)
        except UnicodeDecodeError as fault:
            raise Malformed("the body is not UTF-8; save it as UTF-8", code="malformed_json") from fault
        self.before += self.at
        self.text, self.at = self.text[self.at :] + fresh, 0
        return bool(raw)
