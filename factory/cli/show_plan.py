"""What a catalogue lacks and what an order would cost, as tables for people."""

from __future__ import annotations

from typing import Any

import typer

from factory.cli.output import count, moment, print_table
from factory.cli.refused_rows import show_warnings

SHOWN = 20
FIRST = ("blocked", "stale", "missing", "in_work")  # what somebody has to mend must not hide behind what is merely new
COUNTED = ("images", "to_draw", "duplicates", "reused", "rows_blocked")


def show_plan(found: dict[str, Any]) -> None:
    """Warnings, how many cells are in which state, and the first of those that are not present."""
    show_warnings(found["warnings"])
    counts: dict[str, int] = found["counts"]
    title = f"{found['name']}: {count(found['images'], 'picture')}"
    print_table([name.replace("_", " ") for name in counts], [list(counts.values())], title=title)
    cells = sorted(found["cells"], key=lambda cell: FIRST.index(cell["state"]))[:SHOWN]
    if cells:
        print_table(["row", "cell", "state", "why"], ([cell["row"], cell["cell"], cell["state"], _why(cell)] for cell in cells))
    absent = sum(number for state, number in counts.items() if state != "present")
    if more := absent - sum(cell["cells"] for cell in cells):
        typer.echo(f"… and {more} more; --json lists the first thousand", err=True)


def to_order(found: dict[str, Any]) -> str:
    """What an apply would order, and how much of that is not drawn anew."""
    reused = (found["quote"] or {}).get("reused")
    return f"{count(found['to_render'], 'picture')} to order" + (f", {reused} of them reused" if reused else "")


def show_quote(found: dict[str, Any]) -> None:
    """What is to be drawn, what it costs, when it may be done, and whether that is late."""
    finish = found["finish"] or {}
    rows = [(name.replace("_", " "), found[name]) for name in COUNTED]
    rows += [
        ("GPU seconds", found["gpu_seconds"]),
        ("saved by reuse", found["gpu_seconds_saved"]),
        ("cost", f"{found['cost']} {found['currency']}"),
    ]
    rows += [("workers", found["workers"]), ("likely finish", moment(finish.get("p50")) or found["finish_unknown"])]
    rows += [("nine in ten finish by", moment(finish.get("p90"))), ("deadline", "likely to be kept" if found["deadline_kept"] else None)]
    print_table(["", ""], (row for row in rows if row[1] is not None))
    if found["deadline_kept"] is False:
        typer.echo("the deadline is not likely to be kept", err=True)


def show_blocked(blocked: list[dict[str, Any]]) -> None:
    """The first rows that an order would refuse, and why."""
    if blocked:
        print_table(
            ["row", "field", "why"],
            ([one["row"], str(one.get("pointer", "")).lstrip("/"), one.get("detail")] for one in blocked[:SHOWN]),
        )


def _why(cell: dict[str, Any]) -> str | None:
    return "; ".join(str(reason.get("detail", "")) for reason in cell["why"][:3]) or None
