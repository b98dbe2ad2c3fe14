"""Rows out of CSV as people have it: BOM or GB18030, semicolons or tabs, quotes over several lines."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Generator, Iterator
from typing import IO, Any

from factory.errors import Malformed
from factory.intake.columns import Reading, has_a_picture, read_header
from factory.intake.rows import LONGEST_ROW
from factory.intake.table import TITLE_ROWS, Record, Table

CHUNK = 256 * 1024
LONGEST_CELL = 128 * 1024


def csv_rows(file: IO[bytes], table: Table) -> Generator[tuple[int, Any], None, None]:
    """(row number from 1 below the header, row or what is wrong with it). Blank rows are counted and skipped.

    Raises Invalid for a file that cannot be read as a table.
    """
    encoding = _encoding(file)
    if encoding == "gb18030":
        detail = "the file is not UTF-8 and was read as GB18030; save it as UTF-8 to be sure of every character"
        table.warnings.append({"code": "csv_read_as_gb18030", "pointer": "", "detail": detail})
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        csv.field_size_limit(LONGEST_CELL)
        delimiter = _delimiter(text, table.reading)
        text.seek(0)
        yield from table.rows(_records(text, delimiter=delimiter))
    finally:
        text.detach()


def _delimiter(text: io.TextIOWrapper, reading: Reading) -> str:
    """The one that splits the header; titles above it may have none."""
    for _ in range(TITLE_ROWS):
        line = text.readline(LONGEST_CELL)
        mark = max(",;\t", key=line.count)
        if mark in line:
            return mark
        if not line or has_a_picture(read_header([line], reading), reading):
            break
    return ","


def _records(text: io.TextIOWrapper, *, delimiter: str) -> Iterator[Record]:
    """Strict, or a quote left open swallows the rows below it. No record is longer than a row may be, over all its lines."""
    size = 0

    def lines() -> Iterator[str]:
        nonlocal size
        while line := text.readline(LONGEST_ROW + 1):
            size += len(line)
            if size > LONGEST_ROW:
                raise csv.Error(f"longer than {LONGEST_ROW} characters")
            yield line

    reader, start = csv.reader(lines(), delimiter=delimiter, strict=True), 1
    try:
        for at, cells in enumerate(reader, 1):
            yield at, cells
            size, start = 0, reader.line_num + 1
    except csv.Error as fault:
        raise Malformed(f"the row that starts in line {start}: {fault}; is a quote left open?", code="malformed_csv") from fault


def _encoding(file: IO[bytes]) -> str:
    """By trying: UTF-16 says so itself, UTF-8 is hardly ever valid by accident."""
    start = file.read(2)
    candidates = ["utf-16"] if start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else ["utf-8-sig", "gb18030"]
    for encoding in candidates:
        file.seek(0)
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            while chunk := file.read(CHUNK):
                decoder.decode(chunk)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        file.seek(0)
        return encoding
    raise Malformed("the file is neither UTF-8 nor GB18030; save it as UTF-8", code="csv_encoding")
