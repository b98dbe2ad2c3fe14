"""factory audit: the generation log over HTTP: records of pictures, events of jobs, exports."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factory.cli.exit_codes import OneLineErrors
from factory.cli.output import Json, moment, print_json, print_table
from factory.cli.own_ids import our_id

if TYPE_CHECKING:
    from factory.cli.client import Client

app = typer.Typer(cls=OneLineErrors, no_args_is_help=True, help="Read and export the generation log.")
Job = Annotated[str | None, typer.Option(help="Of this job: our id or yours.")]
Batch = Annotated[str | None, typer.Option(help="Of this batch: our id or yours.")]
Sku = Annotated[str | None, typer.Option(help="Of this SKU.")]
User = Annotated[str | None, typer.Option(help="Ordered for this user.")]
Key = Annotated[str | None, typer.Option(help="Ordered or done with this key (its prefix).")]
Model = Annotated[str | None, typer.Option(help="Drawn with this checkpoint.")]
Seed = Annotated[str | None, typer.Option(help="Drawn with this seed.")]
Decision = Annotated[str | None, typer.Option(help="What the rules decided: allow or blocked.")]
Action = Annotated[str | None, typer.Option(help="What happened, as job.started; what rules refused is prompt.rejected.")]
Since = Annotated[str | None, typer.Option(help="Then or later, as 2026-11-20T08:00:00+08:00; without a zone it is UTC.")]
Until = Annotated[str | None, typer.Option(help="Before then; without a zone it is UTC.")]
Limit = Annotated[int, typer.Option(min=0, help="Newest first; 0 = all.")]


class Format(StrEnum):
    """csv is safe against formulas in spreadsheets."""

    JSONL = "jsonl"
    CSV = "csv"


class Kind(StrEnum):
    """Which of the two logs."""

    RECORDS = "records"
    EVENTS = "events"


@app.command()
def records(
    *,
    job: Job = None,
    batch: Batch = None,
    sku: Sku = None,
    user: User = None,
    key: Key = None,
    model: Model = None,
    seed: Seed = None,
    decision: Decision = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """One record per delivered picture: who asked, under which rules, what came out."""
    wanted = {"job": job, "batch": batch, "sku": sku, "user": user, "key": key, "model": model, "seed": seed}
    columns = EVENT if decision == "blocked" else RECORD  # what rules refused was never drawn, so it has events only
    _show("records", {**wanted, "decision": decision, "since": since, "until": until}, columns, limit, as_json=as_json)


@app.command()
def events(
    *,
    job: Job = None,
    batch: Batch = None,
    sku: Sku = None,
    key: Key = None,
    action: Action = None,
    decision: Decision = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """One event per change of status, and for whatever else was done."""
    wanted = {"job": job, "batch": batch, "sku": sku, "key": key, "action": action, "decision": decision, "since": since, "until": until}
    _show("events", wanted, EVENT, limit, as_json=as_json)


@app.command()
def export(
    *,
    kind: Annotated[Kind, typer.Option(help="records or events.")] = Kind.RECORDS,
    form: Annotated[Format, typer.Option("--format", help="jsonl or csv.")] = Format.JSONL,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="File to write; default: standard output.")] = None,
    job: Job = None,
    batch: Batch = None,
    sku: Sku = None,
    user: User = None,
    key: Key = None,
    model: Model = None,
    seed: Seed = None,
    decision: Decision = None,
    action: Action = None,
    since: Since = None,
    until: Until = None,
    as_json: Json = False,
) -> None:
    """Everything that matches, oldest first, as it arrives. `--json` says what was written."""
    from factory.cli.client import connect

    wanted = {"job": job, "batch": batch, "sku": sku, "user": user, "key": key, "model": model, "seed": seed, "decision": decision}
    wanted |= {"action": action, "since": since, "until": until}
    written = 0
    with connect() as client:
        pieces = client.lines("/audit/export", kind=kind.value, format=form.value, **_by_our_ids(client, wanted))
        target = out.open("wb") if out else sys.stdout.buffer
        try:
            for piece in pieces:
                written += target.write(piece)
        finally:
            target.close() if out else target.flush()
    if as_json and out:
        print_json({"file": str(out), "bytes": written, "kind": kind.value, "format": form.value})
    elif out:
        typer.echo(f"{written} bytes in {out}", err=True)


RECORD = ("at", "sku", "checkpoint", "seed", "policy_version", "decision", "label_profile", "worker", "asset_key")
REFUSALS = "no such refusals. A refused prompt has no record: it is an event, see `factory audit events --action prompt.rejected`"
EVENT = ("at", "action", "actor", "job_id", "sku", "was", "became", "attempt")


def _show(kind: str, wanted: dict[str, Any], columns: tuple[str, ...], limit: int, *, as_json: bool) -> None:
    from factory.cli.client import connect

    with connect() as client:
        found = list(client.pages(f"/audit/{kind}", limit=limit, **_by_our_ids(client, wanted)))
    if as_json:
        return print_json(found)
    rows = ([moment(row[name]) if name == "at" else row[name] for name in columns] for row in found)
    return print_table(
        [name.replace("_", " ") for name in columns],
        rows,
        empty=REFUSALS if kind == "records" and wanted.get("decision") == "blocked" else f"no such {kind}",
    )


def _by_our_ids(client: Client, wanted: dict[str, Any]) -> dict[str, Any]:
    return {**wanted, "job": our_id(client, "jobs", wanted["job"]), "batch": our_id(client, "batches", wanted["batch"])}
