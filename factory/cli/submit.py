"""factory submit: order one picture, or a file of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factory.cli.exit_codes import Failed, Usage
from factory.cli.order_file import (
    WHOSE,
    Campaign,
    Deadline,
    ExpiresAt,
    Headers,
    NoReuse,
    NotBefore,
    Priority,
    Project,
    Remember,
    SavedMapping,
    Sheet,
    Template,
    User,
    Vars,
    order_head,
    send_order,
)
from factory.cli.output import Json, count, print_json
from factory.cli.refused_rows import show_refused, show_warnings

if TYPE_CHECKING:
    from factory.cli.client import Client

OF_A_JOB = ("prompt", "model", "size", "seed", "sku", "label_profile")
OF_A_FILE = ("map", "mapping", "remember", "sheet", "no_reuse", "retention", "respond_async")


def submit(
    file: Annotated[str | None, typer.Argument(help="CSV, XLSX, JSON or NDJSON of rows; - reads standard input.")] = None,
    *,
    prompt: Annotated[str | None, typer.Option(help="Order one picture of this.")] = None,
    model: Annotated[str | None, typer.Option(help="Checkpoint to draw with (with --prompt).")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels (with --prompt).")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed draws the same picture (with --prompt).")] = None,
    sku: Annotated[str | None, typer.Option(help="What is on the picture (with --prompt).")] = None,
    label_profile: Annotated[str | None, typer.Option(help="cn, eu or marketplace-clean (with --prompt).")] = None,
    template: Template = None,
    var: Vars = None,
    project: Project = None,
    external_id: Annotated[str | None, typer.Option(help="Your id of this order; ordering it again is harmless.")] = None,
    user: User = None,
    campaign: Campaign = None,
    cost_centre: Annotated[str | None, typer.Option(help="Who pays.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    priority: Priority = None,
    not_before: NotBefore = None,
    deadline: Deadline = None,
    expires_at: ExpiresAt = None,
    map_: Headers = None,
    mapping: SavedMapping = None,
    remember: Remember = None,
    sheet: Sheet = None,
    no_reuse: NoReuse = False,
    retention: Annotated[str | None, typer.Option(help="How long the pictures are kept: standard, campaign or archive.")] = None,
    respond_async: Annotated[
        bool, typer.Option("--respond-async", help="Return when the file is safe; its rows are read and checked afterwards.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until everything is drawn.")] = False,
    save: Annotated[Path | None, typer.Option(help="Wait, and download the pictures into this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Order pictures: `submit skus.xlsx --template white-bg --wait` or `submit --prompt "a red mug, 红色马克杯"`.

    Exits 1 when a row was refused, or when it waited and a picture was not delivered; the other rows are ordered all the same.
    """
    from factory.cli.client import connect

    said = dict(locals())
    _check(said | {"map": map_})
    head = order_head(said)
    with connect() as client:
        if file is not None:
            headers = {"Prefer": "respond-async"} if respond_async else {}
            _order_file(client, file, head, headers, wait=wait or save is not None, save=save, as_json=as_json)
        else:
            one = {name: said[name] for name in (*OF_A_JOB, *WHOSE)} | {"tags": tag or None}
            one["vars"] = {name.removeprefix("vars."): value for name, value in head.items() if name.startswith("vars.")} or None
            _order_one(client, one, wait=wait or save is not None, save=save, as_json=as_json)


def _check(said: dict[str, Any]) -> None:
    """Raises Usage for what does not go together."""
    one = said["prompt"] is not None
    if (one and said["file"]) or not (one or said["file"] or said["template"]):
        raise Usage("name a file (or -), or one picture with --prompt or --template")
    wrong, where = (OF_A_JOB, "one picture; in a file they are columns") if said["file"] else (OF_A_FILE, "a file of rows")
    if meant := [f"--{name.replace('_', '-')}" for name in wrong if said[name] not in (None, False, [])]:
        raise Usage(f"{', '.join(meant)} belong to {where}")


def _order_file(
    client: Client, file: str, head: dict[str, Any], headers: dict[str, str], *, wait: bool, save: Path | None, as_json: bool
) -> None:
    from factory.cli.progress import follow
    from factory.cli.watch import report

    batch, fresh = send_order(client, "/batches", file, head, headers)
    if not as_json:
        _say_what_was_taken(batch, fresh=fresh)
    if not wait:
        print_json(batch) if as_json else typer.echo(batch["id"])
        return _complain_of_refusals(batch)
    done = follow(client, [batch["id"]], quiet=as_json)
    if batch["status"] == "reading" and not as_json:
        _say_what_was_taken(done[0], fresh=True)
    if save is not None:
        for job in client.pages(f"/batches/{batch['id']}/jobs", limit=0, status="succeeded"):
            client.save(job, save)
        typer.echo(f"saved {count(done[0]['counts']['succeeded'], 'picture')} in {save}", err=True)
    return report(done, as_json=as_json)


def _complain_of_refusals(batch: dict[str, Any]) -> None:
    if problem := batch.get("problem"):
        raise Failed(f"batch {batch['id']} could not be ordered: {problem['detail']} [{problem['code']}]")
    if refused := batch["rows_refused"]:
        said = "1 row was" if refused == 1 else f"{refused} rows were"
        raise Failed(f"{said} refused, what else there is was ordered; `GET /api/v1/batches/{batch['id']}` says why, row by row")


def _order_one(client: Client, order: dict[str, Any], *, wait: bool, save: Path | None, as_json: bool) -> None:
    sent = {name: value for name, value in order.items() if value is not None}
    job, fresh = client.order("/jobs", json=sent)
    if not as_json:
        if not fresh:
            _say_that_it_was_there(job)
        _say_if_late(job)
        show_warnings(job["warnings"])
    while wait and job["status"] in {"queued", "running"}:
        job = client.get(f"/jobs/{job['id']}", wait=30)
    if save is not None and job["asset"]:
        typer.echo(f"saved {client.save(job, save)}", err=True)
    if as_json:
        print_json(job)
    else:
        typer.echo(f"{job['id']} {job['status']}" + (f" {job['asset']['url']}" if job["asset"] else ""))
    if wait and job["status"] != "succeeded":
        raise Failed(f"the picture was not delivered: {job['status']}, {(job['error'] or {}).get('detail', 'no reason given')}")


def _say_if_late(order: dict[str, Any]) -> None:
    if order.get("deadline_kept") is False:
        typer.echo("the deadline is not likely to be kept", err=True)


def _say_that_it_was_there(order: dict[str, Any]) -> None:
    typer.echo(f"already ordered as {order['id']}; nothing was ordered anew", err=True)


def _say_what_was_taken(batch: dict[str, Any], *, fresh: bool) -> None:
    if fresh and batch["status"] == "reading":
        typer.echo("the file is safe; its rows are read now: `factory batches show` tells how many were ordered", err=True)
        return
    show_warnings(batch["warnings"])
    reused = f", {batch['reused']} reused" if batch.get("reused") else ""
    done = f"{count(batch['rows_accepted'], 'row')} ordered{reused}, {batch['rows_refused']} refused"
    typer.echo(done, err=True) if fresh else _say_that_it_was_there(batch)
    _say_if_late(batch)
    of_rows = [error for error in (batch.get("problem") or {}).get("errors", []) if "row" in error]
    show_refused(batch.get("row_errors") or of_rows)
