"""A file of rows on its way to the API, and the options that orders and quotes share. Streamed; from its start again for a second try."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from factory.cli.exit_codes import Denied, Failed, Usage
from factory.cli.refused_rows import show_refused, show_warnings

if TYPE_CHECKING:
    from factory.cli.client import Client

CHUNK = 256 * 1024
SEEN = 4096
NO_HEADERS: Mapping[str, str] = MappingProxyType({})
MEDIA_TYPES = {
    ".csv": "text/csv",
    ".tsv": "text/csv",
    ".txt": "text/csv",
    ".json": "application/json",
    ".jsonl": "application/x-ndjson",
    ".ndjson": "application/x-ndjson",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".xlsm": "application/vnd.ms-excel.sheet.macroenabled.12",
    ".xls": "application/vnd.ms-excel",
}
WORKBOOK = b"PK\x03\x04"

Template = Annotated[str | None, typer.Option(help="NAME or NAME@VERSION: says the prompt for rows that have none.")]
Vars = Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the template; may be repeated.")]
Project = Annotated[str | None, typer.Option(help="First part of the file names.")]
User = Annotated[str | None, typer.Option(help="For whom.")]
Campaign = Annotated[str | None, typer.Option(help="For which campaign.")]
Priority = Annotated[str | None, typer.Option(help="interactive, standard, bulk or offpeak.")]
NotBefore = Annotated[str | None, typer.Option(help="Draw nothing before: ISO 8601, or +90s, +30m, +8h, +2d.")]
Deadline = Annotated[str | None, typer.Option(help="Wanted by then; the answer says whether that is likely.")]
ExpiresAt = Annotated[str | None, typer.Option(help="What nobody drew by then ends as expired: ISO 8601, or +8h.")]
Headers = Annotated[list[str] | None, typer.Option("--map", help="HEADER=FIELD: what a column means; may be repeated.")]
SavedMapping = Annotated[str | None, typer.Option(help="A saved mapping.")]
Remember = Annotated[str | None, typer.Option(help="Save the mapping of this order under this name.")]
Sheet = Annotated[str | None, typer.Option(help="Which sheet of a workbook; the first visible one, unless said otherwise.")]
NoReuse = Annotated[bool, typer.Option("--no-reuse", help="Draw anew what was drawn before.")]

WHOSE = ("template", "project", "external_id", "user", "campaign", "cost_centre", "priority", "not_before", "deadline", "expires_at")
OF_ROWS = ("mapping", "remember", "sheet", "retention")


class FileBody:
    """What httpx takes as a body of known length; it has no `read`, so every try begins anew."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def fileno(self) -> int:
        return self._file.fileno()

    def start(self) -> bytes:
        self._file.seek(0)
        return self._file.read(SEEN)

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            yield chunk


@contextmanager
def opened(file: str) -> Iterator[FileBody]:
    """`-` is standard input; that and pipes are laid into a temporary file first. Raises Usage."""
    with _bytes_of(file) as found:
        yield FileBody(found)


def _bytes_of(file: str) -> IO[bytes]:
    try:
        if file != "-" and Path(file).is_file():
            return Path(file).open("rb")
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as pipe:
            shutil.copyfileobj(pipe, copy)
    except OSError as fault:
        raise Usage(f"cannot read {file}: {fault.strerror}") from fault
    copy.flush()
    return copy


def named_pairs(group: str, pairs: Iterable[str]) -> dict[str, str]:
    """`--var product=cup` as the address has it: {"vars.product": "cup"}. Raises Usage."""
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip():
            raise Usage(f"{pair!r} must look like NAME=VALUE")
        found[f"{group}.{name.strip()}"] = value
    return found


def order_head(said: Mapping[str, Any]) -> dict[str, Any]:
    """What the options of a command say about the whole order, as the address has it. Raises Usage."""
    head = {name: said[name] for name in (*WHOSE, *OF_ROWS) if name in said}
    pairs = named_pairs("vars", said["var"] or []) | named_pairs("map", said["map_"] or [])
    return {**head, **pairs, "tag": said.get("tag") or [], "reuse": "false" if said["no_reuse"] else None}


def send_order(client: Client, to: str, file: str, head: dict[str, Any], headers: Mapping[str, str] = NO_HEADERS) -> tuple[Any, bool]:
    """The answer, and whether it is of something new. Raises Usage for a file that cannot be read, or of a kind that nobody knows.

    Of a file without one good row the rows and the warnings are shown before Failed is raised.
    """
    kind = media_type(file, b"") if file != "-" else ""
    try:
        with opened(file) as body:
            kind = kind or media_type(file, body.start())
            return client.order(to, params=head, content=body, headers={**headers, "Content-Type": kind})
    except Denied as fault:
        of_rows = [error for error in fault.problem.get("errors", []) if "row" in error]
        show_warnings(fault.problem.get("warnings", []))
        show_refused(of_rows)
        if of_rows:
            raise Failed(f"{fault.problem['detail']} [{fault.problem['code']}]") from fault
        raise


def media_type(file: str, content: bytes) -> str:
    """By the file's ending; by how its content starts on standard input."""
    if file != "-":
        ending = Path(file).suffix.lower()
        if ending not in MEDIA_TYPES:
            raise Usage(f"{file} must end in {', '.join(MEDIA_TYPES)}")
        return MEDIA_TYPES[ending]
    if content.startswith(WORKBOOK):
        return MEDIA_TYPES[".xlsx"]
    first = content.lstrip()[:1]
    if first == b"[":
        return "application/json"
    return "application/x-ndjson" if first == b"{" else "text/csv"
