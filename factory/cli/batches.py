"""factory batches: find, steer and collect orders, over HTTP."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

import typer

from factory.cli.exit_codes import OneLineErrors, Usage
from factory.cli.output import Json, count, print_json, print_table
from factory.cli.show_batch import LISTED, by_itself, in_list, why_nothing_was_retried

if TYPE_CHECKING:
    from collections.abc import Iterator

app = typer.Typer(cls=OneLineErrors, no_args_is_help=True, help="Find, pause, reprioritise, extend, retry and collect batches.")
Batch = Annotated[str, typer.Argument(help="Our id or yours.")]
Out = Annotated[Path | None, typer.Option(help="File to write.")]


@app.command("list")
def find(
    *,
    project: Annotated[str | None, typer.Option(help="Of this project.")] = None,
    campaign: Annotated[str | None, typer.Option(help="Of this campaign.")] = None,
    limit: Annotated[int, typer.Option(min=0, help="Newest first; 0 = all.")] = 50,
    as_json: Json = False,
) -> None:
    """List batches with their progress, newest first. Tables show UTC."""
    from factory.cli.client import connect

    with connect() as client:
        found = list(client.pages("/batches", limit=limit, project=project, campaign=campaign))
    if as_json:
        return print_json(found)
    return print_table(LISTED, map(in_list, found), empty="no such batches")


@app.command()
def show(batch: Batch, *, as_json: Json = False) -> None:
    """How a batch stands: its counts, how fast it goes, and when it will end."""
    found = _ask("GET", batch)
    if as_json:
        return print_json(found)
    return print_table(["", ""], by_itself(found))


@app.command()
def pause(batch: Batch, *, as_json: Json = False) -> None:
    """Offer no more of its rows to workers; what is being drawn is finished."""
    _say(_ask("POST", batch, "pause"), "held", "put on hold", as_json=as_json)


@app.command()
def resume(batch: Batch, *, as_json: Json = False) -> None:
    """Let a paused batch go on."""
    _say(_ask("POST", batch, "resume"), "released", "let go", as_json=as_json)


@app.command()
def priority(
    batch: Batch,
    to: Annotated[str, typer.Argument(help="interactive, standard, bulk or offpeak.")],
    *,
    as_json: Json = False,
) -> None:
    """Change how urgent its waiting rows are."""
    _say(_ask("POST", batch, "priority", {"priority": to}), "changed", f"moved to {to}", as_json=as_json)


@app.command()
def retry(
    batch: Batch,
    *,
    only: Annotated[list[str] | None, typer.Option("--status", help="failed, rejected, expired or canceled; may be repeated.")] = None,
    change: Annotated[list[str] | None, typer.Option(help="NAME=VALUE, as seed=7 or vars.colour=red; may be repeated.")] = None,
    as_json: Json = False,
) -> None:
    """Order anew what was not delivered, as it was or with changes: default failed and expired rows, and rejected ones when changed."""
    body = {name: value for name, value in (("statuses", only), ("changes", changes(change or []))) if value}
    answer = _ask("POST", batch, "retry", body)
    if not as_json and answer.get("retry_errors"):
        rows = ([error["row"], error["pointer"], error["detail"]] for error in answer["retry_errors"][:10])
        print_table(["row", "field", "why it stays as it is"], rows)
    _say(answer, "retried", "ordered anew", as_json=as_json)
    if not as_json and not answer["retried"]:
        for hint in why_nothing_was_retried(answer, only or []):
            typer.echo(hint, err=True)


@app.command()
def cancel(batch: Batch, *, as_json: Json = False) -> None:
    """Cancel what has not ended; finished pictures stay. `--json` holds the receipt."""
    answer = _ask("POST", batch, "cancel")
    if as_json:
        return print_json(answer)
    return typer.echo(f"{batch}: {count(answer['receipt']['canceled'], 'picture')} canceled; the batch is {answer['status']}")


@app.command()
def manifest(
    batch: Batch,
    *,
    out: Out = None,
    form: Annotated[str, typer.Option("--format", help="csv or jsonl.")] = "csv",
    bom: Annotated[bool, typer.Option("--bom", help="Begin the CSV so that Excel shows Chinese.")] = False,
    seconds: Annotated[
        int | None, typer.Option(help="Links that anybody may open for so long; default: links that ask for the key.")
    ] = None,
    as_json: Json = False,
) -> None:
    """What became of each row: SKU, name, link, SHA-256, seed, status and reason. Default: to standard output."""
    if form not in {"csv", "jsonl"}:
        raise Usage(f"--format {form!r} must be csv or jsonl")
    _save(batch, f"manifest.{form}", out, as_json=as_json, seconds=seconds, bom="true" if bom and form == "csv" else None)


@app.command()
def archive(batch: Batch, out: Annotated[Path, typer.Argument(help="ZIP to write.")], *, as_json: Json = False) -> None:
    """Download every delivered picture and the manifest as one ZIP."""
    _save(batch, "archive.zip", out, as_json=as_json)


def changes(pairs: list[str]) -> dict[str, Any]:
    """`vars.NAME` goes into the template's holes; numbers, true, false, null and JSON are taken as such, all else as text."""
    import json

    found: dict[str, Any] = {}
    for pair in pairs:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise Usage(f"--change {pair!r} must look like NAME=VALUE")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if name.startswith("vars."):
            found.setdefault("vars", {})[name.removeprefix("vars.")] = value
        else:
            found[name] = value if name not in {"prompt", "negative_prompt", "size"} or value is None else text
    return found


def path_of(batch: str, *more: str) -> str:
    return "/".join(["/batches", quote(batch, safe=""), *more])


def _ask(method: str, batch: str, action: str = "", body: dict[str, Any] | None = None) -> dict[str, Any]:
    from factory.cli.client import connect

    with connect() as client:
        if method == "GET":
            return dict(client.get(path_of(batch)))
        return dict(client.post(path_of(batch, action), json=body))


def _say(answer: dict[str, Any], name: str, done: str, *, as_json: bool) -> None:
    if as_json:
        return print_json(answer)
    return typer.echo(f"{count(answer[name], 'row')} {done}; the batch is {answer['status']}")


def _save(batch: str, what: str, out: Path | None, *, as_json: bool, **params: Any) -> None:
    """A file is whole or not there at all."""
    from factory.cli.client import connect

    with connect() as client:
        pieces = client.lines(path_of(batch, what), **params)
        if out is None:
            sys.stdout.buffer.writelines(pieces)
            sys.stdout.flush()
            return None
        written = _write(out, pieces)
    if as_json:
        return print_json({"file": str(out), "bytes": written})
    return typer.echo(f"{written} bytes in {out}", err=True)


def _write(out: Path, pieces: Iterator[bytes]) -> int:
    fresh = out.with_name(f"{out.name}.part")
    try:
        with fresh.open("wb") as file:
            written = sum(file.write(piece) for piece in pieces)
        fresh.replace(out)
    finally:
        fresh.unlink(missing_ok=True)
    return written
