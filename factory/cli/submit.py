"""factory submit: order one picture, or a file of them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factory.cli.exit_codes import Failed, Usage
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
}
OF_A_JOB = ("prompt", "model", "size", "seed", "sku", "label_profile")


def submit(
    file: Annotated[str | None, typer.Argument(help="CSV, JSON or NDJSON of rows; - reads standard input.")] = None,
    *,
    prompt: Annotated[str | None, typer.Option(help="Order one picture of this.")] = None,
    model: Annotated[str | None, typer.Option(help="Checkpoint to draw with (with --prompt).")] = None,
    size: Annotated[str | None, typer.Option(help="WIDTHxHEIGHT in pixels (with --prompt).")] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="The same seed draws the same picture (with --prompt).")] = None,
    sku: Annotated[str | None, typer.Option(help="What is on the picture (with --prompt).")] = None,
    label_profile: Annotated[str | None, typer.Option(help="cn, eu or marketplace-clean (with --prompt).")] = None,
    project: Annotated[str | None, typer.Option(help="First part of the file names.")] = None,
    external_id: Annotated[str | None, typer.Option(help="Your id of this order; ordering it again is harmless.")] = None,
    user: Annotated[str | None, typer.Option(help="For whom.")] = None,
    campaign: Annotated[str | None, typer.Option(help="For which campaign.")] = None,
    cost_centre: Annotated[str | None, typer.Option(help="Who pays.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="May be repeated.")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="Stay until everything is drawn.")] = False,
    save: Annotated[Path | None, typer.Option(help="Wait, and download the pictures into this folder.")] = None,
    as_json: Json = False,
) -> None:
    """Order pictures: `submit skus.csv --wait` or `submit --prompt "a red mug, 红色马克杯"`.

    Exits 1 when a row was refused, or when it waited and a picture was not delivered; the other rows are ordered all the same.
    """
    from factory.cli.client import connect

    if (file is None) == (prompt is None):
        raise Usage("name a file (or -), or one picture with --prompt")
    whose = {"project": project, "external_id": external_id, "user": user, "campaign": campaign, "cost_centre": cost_centre}
    one = {"prompt": prompt, "model": model, "size": size, "seed": seed, "sku": sku, "label_profile": label_profile}
    if file is not None and (meant := [f"--{name.replace('_', '-')}" for name in OF_A_JOB if one[name] is not None]):
        raise Usage(f"{', '.join(meant)} belong to one picture; in a file they are columns")
    with connect() as client:
        if file is not None:
            _order_file(client, file, {**whose, "tag": tag or []}, wait=wait or save is not None, save=save, as_json=as_json)
        else:
            _order_one(client, {**one, **whose, "tags": tag or None}, wait=wait or save is not None, save=save, as_json=as_json)


def _order_file(client: Client, file: str, head: dict[str, Any], *, wait: bool, save: Path | None, as_json: bool) -> None:
    from factory.cli.progress import follow
    from factory.cli.watch import report

    content = _read(file)
    batch = client.post("/batches", params=head, content=content, headers={"Content-Type": media_type(file, content)})
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


def _read(file: str) -> bytes:
    if file == "-":
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as fault:
        raise Usage(f"cannot read {file}: {fault.strerror}") from fault


def media_type(file: str, content: bytes) -> str:
    """By the file's ending; by its first character on standard input."""
    if file != "-":
        ending = Path(file).suffix.lower()
        if ending not in MEDIA_TYPES:
            raise Usage(f"{file} must end in {', '.join(MEDIA_TYPES)}")
        return MEDIA_TYPES[ending]
    first = content.lstrip()[:1]
    if first == b"[":
        return "application/json"
    return "application/x-ndjson" if first == b"{" else "text/csv"


def _say_what_was_taken(batch: dict[str, Any]) -> None:
    for warning in batch["warnings"]:
        typer.echo(f"warning: {warning['detail']}", err=True)
    typer.echo(f"{count(batch['rows_accepted'], 'row')} ordered, {batch['rows_refused']} refused", err=True)
    errors = batch.get("row_errors") or []
    if errors:
        print_table(["row", "field", "why"], ([error["row"], error["pointer"].lstrip("/"), error["detail"]] for error in errors[:10]))
