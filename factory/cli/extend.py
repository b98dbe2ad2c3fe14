"""factory batches extend: more rows for an order that goes on."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from factory.cli.batches import Batch, path_of
from factory.cli.exit_codes import Failed
from factory.cli.order_file import (
    ExpiresAt,
    Headers,
    NoReuse,
    NotBefore,
    Remember,
    SavedMapping,
    Sheet,
    Template,
    Vars,
    order_head,
    send_order,
)
from factory.cli.output import Json, count, print_json
from factory.cli.refused_rows import show_refused, show_warnings


def extend(
    batch: Batch,
    file: Annotated[str, typer.Argument(help="CSV, XLSX, JSON or NDJSON of rows; - reads standard input.")],
    *,
    template: Template = None,
    var: Vars = None,
    not_before: NotBefore = None,
    expires_at: ExpiresAt = None,
    map_: Headers = None,
    mapping: SavedMapping = None,
    remember: Remember = None,
    sheet: Sheet = None,
    no_reuse: NoReuse = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until the whole batch is drawn.")] = False,
    as_json: Json = False,
) -> None:
    """Add rows to a batch that goes on: queued, running or paused. What the batch says of itself holds for them too.

    Exits 1 when a row was refused, or when it waited and a picture was not delivered; the other rows are added all the same.
    """
    from factory.cli.client import connect
    from factory.cli.progress import follow
    from factory.cli.watch import report

    head = order_head(dict(locals()))
    with connect() as client:
        answer, _ = send_order(client, path_of(batch, "rows"), file, head)
        if not as_json:
            _say_what_was_added(answer)
        if wait:
            return report(follow(client, [answer["id"]], quiet=as_json), as_json=as_json)
    print_json(answer) if as_json else typer.echo(answer["id"])
    if refused := answer["receipt"]["rows_refused"]:
        raise Failed(f"{count(refused, 'row')} refused, what else there is was added")
    return None


def _say_what_was_added(answer: dict[str, Any]) -> None:
    receipt, first = answer["receipt"], answer["first_row"]
    show_warnings(receipt["warnings"])
    done = f"{count(receipt['rows_accepted'], 'row')} added, {receipt['rows_refused']} refused"
    typer.echo(f"{done}; row 1 of the file is row {first} of the batch", err=True)
    show_refused(receipt["row_errors"])
    if answer["next_row"]:
        typer.echo(f"the queue is full; send the file again later, from its row {answer['next_row'] - first + 1} on", err=True)
