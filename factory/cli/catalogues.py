"""factory plan, apply and quote: what a catalogue lacks, an order for it, and what an order would cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factory.cli.exit_codes import Failed, Usage
from factory.cli.order_file import (
    Campaign,
    Deadline,
    Headers,
    NoReuse,
    NotBefore,
    Priority,
    Project,
    SavedMapping,
    Sheet,
    Template,
    User,
    Vars,
    order_head,
    send_order,
)
from factory.cli.output import Json, count, print_json
from factory.cli.refused_rows import show_warnings
from factory.cli.show_plan import show_blocked, show_plan, show_quote, to_order

if TYPE_CHECKING:
    from factory.cli.client import Client

File = Annotated[Path, typer.Argument(help="YAML or JSON; its `rows` may name a file of rows beside it.")]


def plan(catalogue: File, *, as_json: Json = False) -> None:
    """Show what of a catalogue is missing, stale (template, checkpoint or row changed) or blocked, and a quote. Orders nothing."""
    from factory.cli.client import connect

    with connect() as client, _parts(catalogue) as files:
        found = client.post("/catalogues/plan", files=files)
    if as_json:
        return print_json(found)
    show_plan(found)
    if found["quote"]:
        show_quote(found["quote"])
    return typer.echo(f"{to_order(found)}: `factory apply {catalogue}` orders them" if found["to_render"] else "nothing to draw")


def apply(
    catalogue: File,
    *,
    no_reuse: Annotated[bool, typer.Option("--no-reuse", help="Draw anew what was drawn before for another order.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until everything is drawn.")] = False,
    as_json: Json = False,
) -> None:
    """Order what of a catalogue is missing or stale, as one batch. Applied again, it orders nothing.

    Exits 1 when something is blocked, when the queue had no room for all of it, or when it waited and a picture was not delivered; the
    rest is ordered all the same.
    """
    from factory.cli.client import connect

    with connect() as client, _parts(catalogue) as files:
        found = client.post("/catalogues/apply", params={"reuse": "false"} if no_reuse else None, files=files)
        batch = found["batch"]
        if as_json and not (wait and batch):
            print_json(found)
        elif not as_json:
            show_plan(found)
            reused = f", {found['reused']} of them reused" if found.get("reused") else ""
            typer.echo(f"{count(found['ordered'], 'picture')} ordered{reused}: batch {batch['id']}" if batch else "nothing was ordered")
        complaints = _wait(client, found, as_json=as_json) if wait and batch else []
    complaints += _not_ordered(found, catalogue)
    if complaints:
        raise Failed("; ".join(complaints))


def quote(
    file: Annotated[str, typer.Argument(help="CSV, XLSX, JSON or NDJSON of rows; - reads standard input.")],
    *,
    template: Template = None,
    var: Vars = None,
    project: Project = None,
    user: User = None,
    campaign: Campaign = None,
    priority: Priority = None,
    not_before: NotBefore = None,
    deadline: Deadline = None,
    map_: Headers = None,
    mapping: SavedMapping = None,
    sheet: Sheet = None,
    no_reuse: NoReuse = False,
    as_json: Json = False,
) -> None:
    """Say what an order of this file would cost and when it would be done. Orders nothing."""
    from factory.cli.client import connect

    head = order_head(dict(locals()))
    with connect() as client:
        found, _ = send_order(client, "/quotes", file, head)
    if as_json:
        return print_json(found)
    show_warnings(found["warnings"])
    show_quote(found)
    return show_blocked(found["blocked"])


def _wait(client: Client, found: dict[str, Any], *, as_json: bool) -> list[str]:
    """Stays until the batch is drawn, and shows how it ended; returns what there is to complain of."""
    from factory.cli.progress import follow
    from factory.cli.watch import report

    (done,) = follow(client, [found["batch"]["id"]], quiet=as_json)
    if as_json:
        print_json(found | {"batch": done})
        return [] if done["status"] == "completed" else [f"not every picture was delivered: batch {done['id']} is {done['status']}"]
    try:
        report([done], as_json=False)
    except Failed as failure:
        return [str(failure)]
    return []


def _not_ordered(found: dict[str, Any], catalogue: Path) -> Iterator[str]:
    """What of the catalogue is neither there nor on its way, and what helps."""
    if refused := found["batch"]["rows_refused"] if found["batch"] else 0:
        taken = found["batch"]["rows_accepted"]
        yield f"{taken} of {taken + refused} rows were taken; apply again to order the rest, when the queue has room"
    if blocked := found["counts"]["blocked"]:
        yield f"{count(blocked, 'picture')} of the catalogue cannot be ordered as they stand; `factory plan {catalogue}` says why"


@contextmanager
def _parts(catalogue: Path) -> Iterator[dict[str, tuple[str, Any]]]:
    """The form: the catalogue, and the file that its `rows` names, looked for beside it. Raises Usage."""
    with ExitStack() as stack:
        try:
            content = catalogue.read_bytes()
            files: dict[str, tuple[str, Any]] = {"catalogue": (catalogue.name, content)}
            if name := _rows_file(catalogue, content):
                rows = (catalogue.parent / name).resolve()
                if not rows.is_relative_to(catalogue.parent.resolve()):  # a catalogue from elsewhere must not send any file that it names
                    raise Usage(f"rows: {name!r} is not beside {catalogue}; put the file there")
                files["rows"] = (rows.name, stack.enter_context(rows.open("rb")))
        except OSError as fault:
            raise Usage(f"cannot read {fault.filename}: {fault.strerror}") from fault
        yield files


def _rows_file(catalogue: Path, content: bytes) -> str | None:
    from factory.domain.plain_yaml import read_yaml
    from factory.errors import Invalid

    try:
        said = json.loads(content) if catalogue.suffix.lower() == ".json" else read_yaml(content)
    except (ValueError, Invalid) as fault:
        raise Usage(f"{catalogue}: {fault}") from fault
    rows = said.get("rows") if isinstance(said, dict) else None
    return rows if isinstance(rows, str) else None
