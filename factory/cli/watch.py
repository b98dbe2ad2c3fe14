"""factory watch: live bars of batches until they are done."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from factory.cli.exit_codes import Failed
from factory.cli.output import Json, print_json, print_table, status


def watch(batches: Annotated[list[str], typer.Argument(help="Batch ids, ours or yours.")], *, as_json: Json = False) -> None:
    """Show batches as they are drawn; exits 1 when a picture of them was not delivered."""
    from factory.cli.client import connect
    from factory.cli.progress import follow

    with connect() as client:
        done = follow(client, batches, quiet=as_json)
    report(done, as_json=as_json)


def report(batches: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print how batches ended. Raises Failed unless all their pictures were delivered."""
    from factory.cli.progress import troubles

    if as_json:
        print_json(batches)
    else:
        rows = (
            [
                batch["id"],
                batch["project"],
                status(batch["status"]),
                batch["counts"]["succeeded"],
                troubles(batch) or None,
                batch["rows_refused"] or None,
            ]
            for batch in batches
        )
        print_table(["batch", "project", "status", "delivered", "not delivered", "rows refused"], rows)
    if hints := [_hint(batch) for batch in batches if batch["status"] != "completed"]:
        raise Failed(f"not every picture was delivered: {'; '.join(hints)}")


def _hint(batch: dict[str, Any]) -> str:
    """How a batch ended, and the command that lists what it owes."""
    from factory.cli.progress import ENDED_BADLY, troubles

    options = "".join(f" --status {name}" for name in ENDED_BADLY if batch["counts"].get(name))
    if not options:
        return f"batch {batch['id']} is {batch['status']}"
    return f"{troubles(batch)}, see `factory jobs list --batch {batch['id']}{options}`"
