"""What a file of rows is told: warnings, and a table of what was refused. On stderr, so that stdout holds the answer alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import typer

from factory.cli.output import print_table

SHOWN = 10
OF_A_ROW = re.compile(r"^/rows/\d+(?=/|$)")


def show_warnings(warnings: Iterable[Mapping[str, Any]]) -> None:
    """One line each."""
    for warning in warnings:
        typer.echo(f"warning: {warning['detail']}", err=True)


def show_refused(errors: list[dict[str, Any]]) -> None:
    """The first of what is wrong, by row, cell and field."""
    if errors:
        print_table(["row", "cell", "field", "why"], map(_line, errors[:SHOWN]), stderr=True)


def _line(error: Mapping[str, Any]) -> tuple[Any, ...]:
    field = OF_A_ROW.sub("", error["pointer"]).lstrip("/")
    return error["row"], error.get("cell"), error.get("column") or field, error["detail"]
