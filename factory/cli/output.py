"""How commands speak: JSON for programs, Rich tables for people."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

WITHOUT_TERMINAL = 180
NEVER_BROKEN = {"id", "batch", "job id", "prefix", "at", "created", "dead lettered", "status"}
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text for people.")]


def console(*, stderr: bool = False) -> Console:
    """A console of the terminal's width; wide enough for whole ids where there is no terminal."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    return Console(file=stream, width=None if stream.isatty() else WITHOUT_TERMINAL, highlight=False)


def count(number: int, noun: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def moment(value: str | datetime | None) -> str | None:
    """A time as tables show it: UTC, to the second, and saying so."""
    if not value:
        return None
    at = datetime.fromisoformat(value) if isinstance(value, str) else value
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}Z"


def print_json(value: Any) -> None:
    """One JSON document, readable, with Chinese as it is written."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[Any]], *, title: str = "", empty: str = "nothing found", stderr: bool = False
) -> None:
    """Cells are shown as text; None is a dash. Text from outside is never read as markup."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, box=box.SIMPLE_HEAD, title_justify="left", header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in NEVER_BROKEN)
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text("–" if cell is None else str(cell)) for cell in row))
    out = console(stderr=stderr)
    out.print(table if table.row_count else Text(empty, style="dim"))


STATUS_STYLE = {
    "succeeded": "green",
    "completed": "green",
    "ok": "green",
    "running": "cyan",
    "paused": "yellow",
    "queued": "blue",
    "partially_completed": "yellow",
    "warning": "yellow",
    "skipped": "dim",
    "expired": "yellow",
    "canceled": "yellow",
    "rejected": "magenta",
    "failed": "red",
}


def status(name: str) -> Any:
    """The status in its colour."""
    from rich.text import Text

    return Text(name, style=STATUS_STYLE.get(name, ""))
