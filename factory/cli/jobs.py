"""factory jobs: find, show and cancel jobs and replay them, over HTTP."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from factory.cli.exit_codes import Failed, OneLineErrors, Usage
from factory.cli.output import Json, count, moment, print_json, print_table, status
from factory.cli.own_ids import our_id
from factory.cli.queue import explain

app = typer.Typer(cls=OneLineErrors, no_args_is_help=True, help="Find, show, cancel and replay jobs.")
app.command()(explain)
Limit = Annotated[int, typer.Option(min=0, help="Newest first; 0 = all.")]


@app.command("list")
def find(
    *,
    status: Annotated[
        list[str] | None, typer.Option(help="queued, running, succeeded, rejected, failed, canceled or expired; may be repeated.")
    ] = None,
    batch: Annotated[str | None, typer.Option(help="Of this batch: our id or yours.")] = None,
    sku: Annotated[str | None, typer.Option(help="Of exactly this SKU.")] = None,
    model: Annotated[str | None, typer.Option(help="Ordered from this checkpoint.")] = None,
    project: Annotated[str | None, typer.Option(help="Of this project.")] = None,
    user: Annotated[str | None, typer.Option(help="Ordered for this user.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Of this campaign.")] = None,
    cost_centre: Annotated[str | None, typer.Option(help="Paid by this cost centre.")] = None,
    tag: Annotated[str | None, typer.Option(help="With this tag.")] = None,
    q: Annotated[str | None, typer.Option(help="Found in the prompt.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Ordered then or later, as 2026-11-20T08:00:00+08:00; without a zone it is UTC.")
    ] = None,
    until: Annotated[str | None, typer.Option(help="Ordered before then; without a zone it is UTC.")] = None,
    metadata: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; may be repeated.")] = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List jobs, newest first. Filters are named as in the API; all of them must fit. Tables show UTC."""
    wanted = {"batch": batch, "sku": sku, "model": model, "project": project, "user": user, "campaign": campaign}
    wanted |= {"cost_centre": cost_centre, "tag": tag, "q": q, "since": since, "until": until}
    _list("/jobs", {**wanted, "status": status, **_metadata(metadata or [])}, limit, as_json=as_json)


@app.command("dead-letters")
def dead_letters(*, limit: Limit = 50, as_json: Json = False) -> None:
    """Jobs that were given up, with the reason."""
    _list("/dead-letters", {}, limit, as_json=as_json, columns=("id", "sku", "attempt", "error", "dead_lettered_at"))


@app.command()
def show(job: Annotated[str, typer.Argument(help="Our id or yours.")], *, as_json: Json = False) -> None:
    """Everything about one job."""
    from factory.cli.client import connect

    with connect() as client:
        found = client.get(f"/jobs/{job}")
    if as_json:
        return print_json(found)
    return print_table(["", ""], ([name, _cell(name, value)] for name, value in _flat(found)))


@app.command()
def cancel(job: Annotated[str, typer.Argument(help="Our id or yours.")], *, as_json: Json = False) -> None:
    """Cancel a job; a running picture stops at its next step. `--json` holds the receipt."""
    from factory.cli.client import connect

    with connect() as client:
        answer = client.post(f"/jobs/{job}/cancel")
    if as_json:
        return print_json(answer)
    status, stopped = answer["status"], answer["receipt"]["canceled"]
    return typer.echo(f"{job}: {status}" if stopped else f"{job} had already ended ({status}); nothing was canceled")


@app.command()
def replay(
    job: Annotated[str | None, typer.Argument(help="Our id or yours; leave out with --all.")] = None,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every dead letter of the tenant.")] = False,
    as_json: Json = False,
) -> None:
    """Give dead letters another chance, after the cause was mended. Asks for a key with the scope ops."""
    from factory.cli.client import connect

    if (job is None) != everything:
        raise Usage("name one job, or all of them with --all")
    with connect() as client:
        replayed = client.post("/dead-letters/replay", params={"job": our_id(client, "jobs", job)})["replayed"]
    if as_json:
        print_json({"replayed": replayed})
    elif replayed or everything:
        typer.echo(f"put back into the queue: {count(replayed, 'dead letter')}")
    if job is not None and not replayed:
        raise Failed(f"{job} is no dead letter; nothing was replayed: `factory jobs dead-letters` lists them")


def _list(path: str, wanted: dict[str, Any], limit: int, *, as_json: bool, columns: tuple[str, ...] = ()) -> None:
    from factory.cli.client import connect

    with connect() as client:
        found = list(client.pages(path, limit=limit, **{**wanted, "batch": our_id(client, "batches", wanted.get("batch"))}))
    if as_json:
        return print_json(found)
    columns = columns or ("id", "status", "sku", "project", "model", "attempt", "created_at")
    rows = ([_cell(name, row.get(name)) for name in columns] for row in found)
    return print_table([name.removesuffix("_at").replace("_", " ") for name in columns], rows, empty="no such jobs")


def _cell(name: str, value: Any) -> Any:
    if name == "status" and value:
        return status(value)
    if name == "error" and value:
        return f"{value.get('code')}: {value.get('detail')}"
    return moment(value) if name.endswith("_at") else value


def _flat(job: dict[str, Any]) -> list[tuple[str, Any]]:
    """Nested objects as dotted names; what is empty is left out."""
    rows: list[tuple[str, Any]] = []
    for name, value in job.items():
        if isinstance(value, dict) and name not in {"links", "error"}:
            rows += [(f"{name}.{inner}", each) for inner, each in value.items() if not isinstance(each, dict)]
        elif name != "links":
            rows.append((name, value))
    return [(name, value) for name, value in rows if value not in (None, [], {})]


def _metadata(pairs: list[str]) -> dict[str, str]:
    if wrong := [pair for pair in pairs if "=" not in pair]:
        raise Usage(f"--metadata {wrong[0]!r} must look like NAME=VALUE")
    return {f"metadata.{name}": value for name, value in (pair.split("=", 1) for pair in pairs)}
