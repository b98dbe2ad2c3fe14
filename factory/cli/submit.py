"""factory submit: order one picture, or a file of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factory.cli.exit_codes import Failed, Usage
from factory.cli.order_file import named_pairs, opened
from factory.cli.output import Json, count, print_json, print_table

if TYPE_CHECKING:
    from factory.cli.client import Client

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
OF_A_JOB = ("prompt", "model", "size", "seed", "sku", "label_profile")
OF_A_FILE = ("map", "mapping", "remember", "sheet", "no_reuse", "retention")


def submit(
    file: Annotated[str | None, typer.Argument(help="CSV, XLSX, JSON or NDJSON of rows; - reads standard input.")] = None,
    *,
    prompt: Annotated[str | None, typer.Option(help="Order one picture of this.")] = None,
    model: Annotated[str | None, typer.Option(help="Checkpoint to draw with (with --prompt).")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels (with --prompt).")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed draws the same picture (with --prompt).")] = None,
    sku: Annotated[str | None, typer.Option(help="What is on the picture (with --prompt).")] = None,
    label_profile: Annotated[str | None, typer.Option(help="cn, eu or marketplace-clean (with --prompt).")] = None,
    template: Annotated[str | None, typer.Option(help="NAME or NAME@VERSION: says the prompt for rows that have none.")] = None,
    var: Annotated[list[str] | None, typer.Option(help="NAME=VALUE for the template; may be repeated.")] = None,
    project: Annotated[str | None, typer.Option(help="First part of the file names.")] = None,
    external_id: Annotated[str | None, typer.Option(help="Your id of this order; ordering it again is harmless.")] = None,
    user: Annotated[str | None, typer.Option(help="For whom.")] = None,
    campaign: Annotated[str | None, typer.Option(help="For which campaign.")] = None,
    cost_centre: Annotated[str | None, typer.Option(help="Who pays.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    priority: Annotated[str | None, typer.Option(help="interactive, standard, bulk or offpeak.")] = None,
    not_before: Annotated[str | None, typer.Option(help="Draw nothing before: ISO 8601, or +90s, +30m, +8h, +2d.")] = None,
    deadline: Annotated[str | None, typer.Option(help="Wanted by then.")] = None,
    map_: Annotated[list[str] | None, typer.Option("--map", help="HEADER=FIELD: what a column means; may be repeated.")] = None,
    mapping: Annotated[str | None, typer.Option(help="A saved mapping.")] = None,
    remember: Annotated[str | None, typer.Option(help="Save the mapping of this order under this name.")] = None,
    sheet: Annotated[str | None, typer.Option(help="Which sheet of a workbook; the first visible one, unless said otherwise.")] = None,
    no_reuse: Annotated[bool, typer.Option("--no-reuse", help="Draw anew what was drawn before.")] = False,
    retention: Annotated[str | None, typer.Option(help="How long the pictures are kept: standard, campaign or archive.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until everything is drawn.")] = False,
    save: Annotated[Path | None, typer.Option(help="Wait, and download the pictures into this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Order pictures: `submit skus.xlsx --template white-bg --wait` or `submit --prompt "a red mug, 红色马克杯"`.

    Exits 1 when a row was refused, or when it waited and a picture was not delivered; the other rows are ordered all the same.
    """
    from factory.cli.client import connect

    said = dict(locals())
    shared = ("template", "project", "external_id", "user", "campaign", "cost_centre", "priority", "not_before", "deadline")
    whose = {name: said[name] for name in shared}
    _check(said | {"map": map_})
    values = named_pairs("vars", var or [])
    with connect() as client:
        if file is not None:
            head = {**whose, **values, **named_pairs("map", map_ or []), "mapping": mapping, "remember": remember, "sheet": sheet}
            head |= {"tag": tag or [], "reuse": "false" if no_reuse else None, "retention": retention}
            _order_file(client, file, head, wait=wait or save is not None, save=save, as_json=as_json)
        else:
            one = {name: said[name] for name in OF_A_JOB} | whose | {"tags": tag or None}
            one["vars"] = {name.removeprefix("vars."): value for name, value in values.items()} or None
            _order_one(client, one, wait=wait or save is not None, save=save, as_json=as_json)


def _check(said: dict[str, Any]) -> None:
    """Raises Usage for what does not go together."""
    one = said["prompt"] is not None
    if (one and said["file"]) or not (one or said["file"] or said["template"]):
        raise Usage("name a file (or -), or one picture with --prompt or --template")
    wrong, where = (OF_A_JOB, "one picture; in a file they are columns") if said["file"] else (OF_A_FILE, "a file of rows")
    if meant := [f"--{name.replace('_', '-')}" for name in wrong if said[name] not in (None, False, [])]:
        raise Usage(f"{', '.join(meant)} belong to {where}")


def _order_file(client: Client, file: str, head: dict[str, Any], *, wait: bool, save: Path | None, as_json: bool) -> None:
    from factory.cli.progress import follow
    from factory.cli.watch import report

    kind = media_type(file, b"") if file != "-" else ""
    with opened(file) as body:
        kind = kind or media_type(file, body.start())
        batch = client.post("/batches", params=head, content=body, headers={"Content-Type": kind})
    if not as_json:
        _say_what_was_taken(batch)
    if not wait:
        print_json(batch) if as_json else typer.echo(batch["id"])
        return _complain_of_refusals(batch)
    done = follow(client, [batch["id"]], quiet=as_json)
    if save is not None:
        for job in client.pages(f"/batches/{batch['id']}/jobs", limit=0, status="succeeded"):
            client.save(job, save)
        typer.echo(f"saved {count(done[0]['counts']['succeeded'], 'picture')} in {save}", err=True)
    report(done, as_json=as_json)
    return _complain_of_refusals(batch)


def _complain_of_refusals(batch: dict[str, Any]) -> None:
    if refused := batch["rows_refused"]:
        said = "1 row was" if refused == 1 else f"{refused} rows were"
        raise Failed(f"{said} refused, what else there is was ordered; `GET /api/v1/batches/{batch['id']}` says why, row by row")


def _order_one(client: Client, order: dict[str, Any], *, wait: bool, save: Path | None, as_json: bool) -> None:
    sent = {name: value for name, value in order.items() if value is not None}
    job = client.post("/jobs", json=sent)
    for warning in [] if as_json else job["warnings"]:
        typer.echo(f"warning: {warning['detail']}", err=True)
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


def _say_what_was_taken(batch: dict[str, Any]) -> None:
    for warning in batch["warnings"]:
        typer.echo(f"warning: {warning['detail']}", err=True)
    reused = f", {batch['reused']} reused" if batch.get("reused") else ""
    typer.echo(f"{count(batch['rows_accepted'], 'row')} ordered{reused}, {batch['rows_refused']} refused", err=True)
    errors = batch.get("row_errors") or []
    if errors:
        print_table(["row", "cell", "field", "why"], map(_error_line, errors[:10]))


def _error_line(error: dict[str, Any]) -> tuple[Any, ...]:
    return error["row"], error.get("cell"), error.get("column") or error["pointer"].lstrip("/"), error["detail"]
