"""The log as a file: JSONL, or CSV that no spreadsheet takes for formulas."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from typing import Any

from factory.api.answers import json_bytes

CHUNK = 64 * 1024
# OWASP's list, and the full-width signs that spreadsheets in Chinese and Japanese take for the same.
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def json_lines(rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """Pieces of about 64 KiB."""
    piece = bytearray()
    for row in rows:
        piece += json_bytes(row) + b"\n"
        if len(piece) >= CHUNK:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


def csv_lines(columns: list[str], rows: Iterable[dict[str, Any]]) -> Iterator[bytes]:
    """With a BOM, or spreadsheets show Chinese as noise."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    text.write("\ufeff")
    writer.writerow(columns)
    for row in rows:
        writer.writerow([cell(row[column]) for column in columns])
        if text.tell() >= CHUNK:
            yield text.getvalue().encode()
            text.seek(0)
            text.truncate()
    yield text.getvalue().encode()


def cell(value: Any) -> Any:
    """Nested values as JSON; a text that starts like a formula gets a quote before it."""
    if isinstance(value, dict | list):
        return json_bytes(value).decode()
    if isinstance(value, str) and value.startswith(FORMULA):
        return "'" + value
    return value
