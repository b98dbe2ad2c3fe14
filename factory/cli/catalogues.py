"""factory plan, apply and quote: what a catalogue lacks, an order for it, and what an order would cost."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Any

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
from factory.cli.output import Json, count, moment, print_json, print_table

SHOWN = 20
File = Annotated[Path, typer.Argument(help="YAML or JSON; its `rows` may name a file of rows beside it.")]


def plan(catalogue: File, *, as_json: Json = False) -> None:
    """Show what of a catalogue is missing, stale (template, checkpoint or row changed) or blocked. Orders nothing."""
    from factory.cli.client import connect

    with connect() as client, _parts(catalogue) as files:
        found = client.post("/catalogues/plan", files=files)
    if as_json:
        return print_json(found)
    _show(found)
    return typer.echo(
        f"{count(found['to_render'], 'picture')} to draw: `factory apply {catalogue}` orders them"
        if found["to_render"]
        else "nothing to draw"
    )


def apply(
    catalogue: File,
    *,
    no_reuse: Annotated[bool, typer.Option("--no-reuse", help="Draw anew what was drawn before for another order.")] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until everything is drawn.")] = False,
    as_json: Json = False,
) -> None:
    """Order what of a catalogue is missing or stale, as one batch. Applied again, it orders nothing.

    Exits 1 when something is blocked, or when it waited and a picture was not delivered; the rest is ordered all the same.
    """
    from factory.cli.client import connect
    from factory.cli.progress import follow
    from factory.cli.watch import report

    with connect() as client, _parts(catalogue) as files:
        found = client.post("/catalogues/apply", params={"reuse": "false"} if no_reuse else None, files=files)
        batch = found["batch"]
        if as_json and not (wait and batch):
            print_json(found)
        elif not as_json:
            _show(found)
            reused = f", {found['reused']} of them reused" if found.get("reused") else ""
            typer.echo(f"{count(found['ordered'], 'picture')} ordered{reused}: batch {batch['id']}" if batch else "nothing was ordered")
        if wait and batch:
            done = follow(client, [batch["id"]], quiet=as_json)
            if as_json:
                print_json(found | {"batch": done[0]})
                _complain_of_batch(done[0])
            else:
                report(done, as_json=False)
    if blocked := found["counts"]["blocked"]:
        raise Failed(f"{count(blocked, 'picture')} of the catalogue cannot be ordered as they stand; `factory plan {catalogue}` says why")


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
        found = send_order(client, "/quotes", file, head)
    if as_json:
        return print_json(found)
    for warning in found["warnings"]:
        typer.echo(f"warning: {warning['detail']}", err=True)
    finish = found["finish"] or {}
    rows = [(name.replace("_", " "), found[name]) for name in ("images", "to_draw", "duplicates", "reused", "rows_blocked")]
    rows += [
        ("GPU seconds", found["gpu_seconds"]),
        ("saved by reuse", found["gpu_seconds_saved"]),
        ("cost", f"{found['cost']} {found['currency']}"),
    ]
    rows += [("workers", found["workers"]), ("likely finish", moment(finish.get("p50")) or found["finish_unknown"])]
    rows += [("nine in ten finish by", moment(finish.get("p90")))]
    print_table(["", ""], (row for row in rows if row[1] is not None))
    if found["blocked"]:
        print_table(
            ["row", "field", "why"],
            ([one["row"], str(one.get("pointer", "")).lstrip("/"), one.get("detail")] for one in found["blocked"][:SHOWN]),
        )
    if found["deadline_kept"] is False:
        typer.echo("the deadline is not likely to be kept", err=True)
    return None


@contextmanager
def _parts(catalogue: Path) -> Iterator[dict[str, tuple[str, Any]]]:
    """The form: the catalogue, and the file that its `rows` names, looked for beside it. Raises Usage."""
    with ExitStack() as stack:
        try:
            content = catalogue.read_bytes()
            files: dict[str, tuple[str, Any]] = {"catalogue": (catalogue.name, content)}
            if name := _rows_file(catalogue, content):
                rows = catalogue.parent / name
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


def _show(found: dict[str, Any]) -> None:
    for warning in found["warnings"]:
        typer.echo(f"warning: {warning['detail']}", err=True)
    print_table(
        [name.replace("_", " ") for name in found["counts"]],
        [list(found["counts"].values())],
        title=f"{found['name']}: {found['images']} pictures",
    )
    cells = [cell for cell in found["cells"] if cell["state"] not in ("missing", "in_work") or cell["why"]]
    if cells:
        print_table(["row", "cell", "state", "why"], ([cell["row"], cell["cell"], cell["state"], _why(cell)] for cell in cells[:SHOWN]))
    if len(cells) > SHOWN:
        typer.echo(f"… and {len(cells) - SHOWN} more; --json lists the first thousand", err=True)


def _why(cell: dict[str, Any]) -> str:
    return "; ".join(str(reason.get("detail", "")) for reason in cell["why"][:3])


def _complain_of_batch(batch: dict[str, Any]) -> None:
    if batch["status"] != "completed":
        raise Failed(f"not every picture was delivered: batch {batch['id']} is {batch['status']}")
