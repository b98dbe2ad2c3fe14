"""factory watch: live bars of batches until they are done."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from factory.cli.exit_codes import Failed
from factory.cli.output import Json, count, print_json, print_table, status


def watch(batches: Annotated[list[str], typer.Argument(help="Batch ids, ours or yours.")], *, as_json: Json = False) -> None:
    """Show batches as they are drawn; exits 1 when a row of them was refused or a picture not delivered."""
    from factory.cli.client import connect
    from factory.cli.progress import follow

    with connect() as client:
        done = follow(client, batches, quiet=as_json)
    report(done, as_json=as_json)


def report(batches: list[dict[str, Any]], *, as_json: bool) -> None:
    """Print how batches ended. Raises Failed unless every row of their orders was delivered."""
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
    """What a batch owes, and the commands that list it."""
    from factory.cli.progress import ENDED_BADLY, troubles

    if problem := batch.get("problem"):
        return f"batch {batch['id']} could not be ordered: {problem['detail']} [{problem['code']}]"
    hints = []
    if options := "".join(f" --status {name}" for name in ENDED_BADLY if batch["counts"].get(name)):
        hints.append(f"{troubles(batch)}, see `factory jobs list --batch {batch['id']}{options}`")
    if refused := batch["rows_refused"]:
        hints.append(f"{count(refused, 'row')} refused, see `factory batches manifest {batch['id']}`")
    return "; ".join(hints) or f"batch {batch['id']} is {batch['status']}"
