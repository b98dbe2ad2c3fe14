"""Rows out of CSV as people have it: BOM or GB18030, Chinese or full-width headers, semicolons or tabs, extra columns."""

from __future__ import annotations

import codecs
import csv
import io
import re
import unicodedata
from collections import Counter
from collections.abc import Generator, Iterator
from typing import IO, Any

from factory.api.problems import Malformed
from factory.api.rows import LONGEST_ROW, NAME_EACH_PAIR
from factory.domain.job_order import JobOrder
from factory.errors import Invalid, Problem

CHUNK = 256 * 1024
LONGEST_CELL = 128 * 1024
MOST_COLUMNS = 200
ALIASES = {
    "提示词": "prompt",
    "正向提示词": "prompt",
    "反向提示词": "negative_prompt",
    "负面提示词": "negative_prompt",
    "货号": "sku",
    "商品编码": "sku",
    "宽": "width",
    "宽度": "width",
    "高": "height",
    "高度": "height",
    "尺寸": "size",
    "种子": "seed",
    "模型": "model",
    "标签": "tags",
    "活动": "campaign",
    "成本中心": "cost_centre",
    "外部编号": "external_id",
    "优先级": "priority",
}
KNOWN = frozenset(JobOrder.model_fields)
Warnings = list[dict[str, Any]]


def csv_rows(file: IO[bytes], warnings: Warnings) -> Generator[tuple[int, Any], None, None]:
    """(row number from 1 below the header, row or what is wrong with it). Blank rows are counted and skipped.

    Raises Invalid for a file that cannot be read as a table.
    """
    encoding = _encoding(file)
    if encoding == "gb18030":
        detail = "the file is not UTF-8 and was read as GB18030; save it as UTF-8 to be sure of every character"
        warnings.append({"code": "csv_read_as_gb18030", "pointer": "", "detail": detail})
    text = io.TextIOWrapper(file, encoding=encoding, newline="")
    try:
        csv.field_size_limit(LONGEST_CELL)
        first = text.readline(LONGEST_CELL)
        text.seek(0)
        records = _records(text, delimiter=max(",;\t", key=first.count))
        columns = _columns(next(records, []), warnings)
        for number, cells in enumerate(records, 1):
            if any(map(str.strip, cells)):
                yield number, _row(columns, cells)
    finally:
        text.detach()


def _records(text: io.TextIOWrapper, *, delimiter: str) -> Iterator[list[str]]:
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
        for cells in reader:
            yield cells
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


def _columns(header: list[str], warnings: Warnings) -> list[str | None]:
    """The field that each column fills, None for one that fills none."""
    if len(header) > MOST_COLUMNS:
        message = f"the header has {len(header)} columns; at most {MOST_COLUMNS} are read"
        raise Invalid(None, Problem("csv_too_many_columns", message, "", len(header)))
    names = [unicodedata.normalize("NFKC", cell).strip() for cell in header]
    if not any(names):
        raise Invalid(None, Problem("empty_batch", "the file is empty; send a header and at least one row", "/rows", 0))
    fields = [ALIASES.get(name) or (name if name.startswith("metadata.") else name.lower().replace(" ", "_")) for name in names]
    if "prompt" not in fields:
        found = ", ".join(name[:40] for name in names[:20])
        message = f"the file has no column `prompt` (or 提示词); columns found: {found}"
        raise Invalid(None, Problem("csv_missing_column", message, "/prompt", found))
    if "metadata" in fields:
        raise Invalid(None, NAME_EACH_PAIR)
    columns = [field if field in KNOWN or field.startswith("metadata.") else None for field in fields]
    if twice := [field for field, count in Counter(columns).items() if field and count > 1]:
        raise Invalid(
            None, Problem("csv_duplicate_column", f"two columns mean {', '.join(sorted(twice))}; keep one", "", ", ".join(names)[:200])
        )
    if unused := [name[:60] for name, column in zip(names, columns, strict=True) if column is None and name]:
        detail = f"not used: {', '.join(unused[:20])}; put what you want to find again into columns named metadata.…"
        warnings.append({"code": "csv_column_ignored", "pointer": "", "detail": detail})
    return columns


def _row(columns: list[str | None], cells: list[str]) -> Any:
    if any(map(str.strip, cells[len(columns) :])):
        return Invalid(
            None, Problem("csv_too_many_cells", f"the row has {len(cells)} cells, the header {len(columns)}; quote cells with commas")
        )
    row: dict[str, Any] = {}
    for column, raw in zip(columns, cells, strict=False):
        cell = raw.strip()
        if column is None or not cell:
            continue
        if column.startswith("metadata."):
            row.setdefault("metadata", {})[column.removeprefix("metadata.")] = cell
        elif column == "tags":
            row["tags"] = [tag for tag in map(str.strip, re.split(r"[|;；、]", cell)) if tag]
        else:
            row[column] = cell
    return row
