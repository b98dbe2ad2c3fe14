"""Upload: an order's file, whatever its kind, as rows and a head."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO, Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import Field, File, parse_form

from factory.errors import Invalid, Malformed, Problem, UnsupportedMedia
from factory.intake.batch_head import head_from_pairs
from factory.intake.columns import Reading, Warnings
from factory.intake.csv_rows import csv_rows
from factory.intake.json_rows import json_rows, ndjson_rows
from factory.intake.table import Table
from factory.intake.xlsx_package import OLE
from factory.intake.xlsx_rows import xlsx_rows

KINDS = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "application/x-jsonlines": "ndjson",
    "text/csv": "csv",
    "application/csv": "csv",
    "application/vnd.ms-excel": "csv",  # what browsers on Windows call a CSV
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "application/vnd.ms-excel.sheet.macroenabled.12": "xlsx",
}
ENDINGS = {".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson", ".csv": "csv", ".txt": "csv", ".tsv": "csv"}
# A shop system's .xls is often a table of text: what the file holds decides.
ENDINGS |= {".xlsx": "xlsx", ".xlsm": "xlsx", ".xls": "csv"}
WORKBOOKS = (b"PK\x03\x04", OLE)


@dataclass(frozen=True)
class Body:
    """What came over the wire. `file` stands at its start and is gone with the request; `content_type` is the header as sent."""

    file: IO[bytes]
    content_type: str
    sha256: str
    size: int

    @property
    def media_type(self) -> str:
        return self.content_type.partition(";")[0].strip().lower()


@dataclass
class Upload:
    """`sha256` is of the content that counts: a form's boundary differs each time it is sent. `head` fills while rows are read."""

    file: IO[bytes]
    kind: str
    sha256: str
    head: dict[str, Any] = field(default_factory=dict)
    warnings: Warnings = field(default_factory=list)
    table: Table | None = None

    def rows(self, reading: Reading) -> Generator[tuple[int, Any], None, None]:
        """From the start, each time it is asked."""
        self.file.seek(0)
        self.warnings.clear()
        if self.kind in {"csv", "xlsx"}:
            self.table = Table(reading, self.warnings)
            return (csv_rows if self.kind == "csv" else xlsx_rows)(self.file, self.table)
        return ndjson_rows(self.file) if self.kind == "ndjson" else json_rows(self.file, self.head)

    def locate(self, number: int, pointer: str) -> dict[str, str]:
        """Column and cell of a row's field, where the file has such."""
        return self.table.locate(number, pointer) if self.table else {}


def read_upload(body: Body) -> Upload:
    """Raises UnsupportedMedia, Malformed, Invalid."""
    if body.media_type == "multipart/form-data":
        return _from_form(body)
    if body.media_type not in KINDS:
        kinds = "text/csv, application/x-ndjson, application/json, a workbook's type or multipart/form-data"
        raise UnsupportedMedia(f"Content-Type {body.media_type[:60]!r} is not read here; send {kinds}")
    return Upload(body.file, _kind(KINDS[body.media_type], body.file), body.sha256)


def _kind(said: str, file: IO[bytes]) -> str:
    """Windows calls workbooks and CSV the same, so the first bytes decide between these two."""
    file.seek(0)
    return "xlsx" if said == "csv" and file.read(len(OLE)).startswith(WORKBOOKS) else said


def _from_form(body: Body) -> Upload:
    files: list[File] = []
    fields: list[tuple[str, str]] = []

    def on_field(found: Field) -> None:
        fields.append(((found.field_name or b"").decode("utf-8", "replace"), (found.value or b"").decode("utf-8", "replace")))

    try:
        parse_form({"Content-Type": body.content_type.encode()}, body.file, on_field, files.append)
    except FormParserError as fault:
        raise Malformed(f"the form cannot be read: {fault}") from fault
    if len(files) != 1:
        message = f"the form has {len(files)} files; send one, with curl: -F file=@rows.csv"
        raise Invalid(None, Problem("field_missing", message, "/file"))
    name = (files[0].file_name or b"").decode("utf-8", "replace")
    ending = PurePosixPath(name.lower()).suffix
    if ending not in ENDINGS:
        raise UnsupportedMedia(f"the file {name[:80]!r} must end in {', '.join(ENDINGS)}")
    content = files[0].file_object
    content.seek(0)
    digest = hashlib.file_digest(content, "sha256").hexdigest()
    whole = hashlib.sha256(repr((sorted(fields), ending, digest)).encode()).hexdigest()
    return Upload(content, _kind(ENDINGS[ending], content), whole, head_from_pairs(fields))
