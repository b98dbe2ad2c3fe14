"""factory webhooks: who is told what happened, over HTTP; factory notify: what a chat would be told."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from factory.cli.exit_codes import Failed, OneLineErrors, Usage
from factory.cli.output import Json, moment, print_json, print_table

app = typer.Typer(cls=OneLineErrors, no_args_is_help=True, help="Tell programs and chats what happened, and tell it again.")
notify = typer.Typer(cls=OneLineErrors, no_args_is_help=True, help="Try messages to chats out.")
Webhook = Annotated[str, typer.Argument(help="The webhook's id, as `factory webhooks list` shows it.")]


class Kind(StrEnum):
    """Who listens: a program, or a robot in a chat."""

    STANDARD = "standard"
    FEISHU = "feishu"
    WECOM = "wecom"
    DINGTALK = "dingtalk"


@app.command()
def create(
    url: Annotated[str, typer.Argument(help="https on port 443; a robot's address as its chat shows it.")],
    kind: Annotated[Kind, typer.Option(help="standard, feishu, wecom or dingtalk.")] = Kind.STANDARD,
    event: Annotated[list[str] | None, typer.Option(help="May be repeated: batch.ended (the default), job.*, *.")] = None,
    secret: Annotated[str | None, typer.Option(help="A robot's secret; for standard one is made.", envvar="FACTORY_WEBHOOK_SECRET")] = None,
    *,
    as_json: Json = False,
) -> None:
    """Make a webhook and show its secret, once."""
    wanted = {"url": url, "kind": kind.value, **({"events": event} if event else {}), **({"secret": secret} if secret else {})}
    made = _post("/webhooks", wanted)
    if as_json:
        return print_json(made)
    typer.echo(f"{made['id']}  {made['kind']}  {made['url']}  {', '.join(made['events'])}", err=True)
    return _show_secret(made, given=secret is not None)


@app.command("list")
def show_all(*, as_json: Json = False) -> None:
    """Every webhook of the tenant."""
    from factory.cli.client import connect

    with connect() as client:
        found = client.get("/webhooks")["data"]
    if as_json:
        return print_json(found)
    columns = ("id", "kind", "url", "events", "status", "disabled_why", "created_at")
    rows = (
        [", ".join(row[name]) if name == "events" else moment(row[name]) if name == "created_at" else row[name] for name in columns]
        for row in found
    )
    return print_table([name.removesuffix("_at").replace("_", " ") for name in columns], rows, empty="none: `factory webhooks create URL`")


@app.command()
def rotate(
    webhook: Webhook,
    secret: Annotated[
        str | None, typer.Option(help="A robot's new secret; for standard one is made.", envvar="FACTORY_WEBHOOK_SECRET")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """A new secret; the one before signs beside it for 24 hours."""
    rotated = _post(f"/webhooks/{webhook}/rotate", {"secret": secret} if secret else {})
    return print_json(rotated) if as_json else _show_secret(rotated, given=secret is not None)


@app.command()
def disable(webhook: Webhook, *, as_json: Json = False) -> None:
    """Send nothing more there."""
    return _say(_post(f"/webhooks/{webhook}/disable"), as_json=as_json)


@app.command()
def enable(webhook: Webhook, *, as_json: Json = False) -> None:
    """Send there again; `replay` for what happened meanwhile."""
    return _say(_post(f"/webhooks/{webhook}/enable"), as_json=as_json)


@app.command()
def delete(webhook: Webhook, *, as_json: Json = False) -> None:
    """Remove it, with the record of its deliveries."""
    from factory.cli.client import connect

    with connect() as client:
        client.delete(f"/webhooks/{webhook}")
    return print_json({"deleted": webhook}) if as_json else typer.echo(f"deleted {webhook}")


@app.command()
def deliveries(
    webhook: Webhook,
    *,
    unacknowledged: Annotated[bool, typer.Option("--unacknowledged", help="Only what the receiver never took.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="Newest first; 0 = all.")] = 50,
    as_json: Json = False,
) -> None:
    """What was sent there, and what came of it."""
    from factory.cli.client import connect

    with connect() as client:
        found = list(client.pages(f"/webhooks/{webhook}/deliveries", limit=limit, unacknowledged=unacknowledged or None))
    if as_json:
        return print_json(found)
    columns = ("id", "type", "status", "attempts", "created_at", "next_attempt_at", "answer")
    rows = ([_cell(name, row[name]) for name in columns] for row in found)
    return print_table([name.removesuffix("_at").replace("_", " ") for name in columns], rows, empty="no such deliveries")


@app.command()
def replay(
    webhook: Webhook,
    delivery: Annotated[str | None, typer.Argument(help="One delivery; leave out with --since.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Everything since then that was not acknowledged, as 2026-11-20T08:00:00+08:00.")
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Send again: one delivery, or everything that was not acknowledged."""
    if (delivery is None) == (since is None):
        raise Usage("name one delivery, or a time with --since")
    if delivery is not None:
        again = _post(f"/webhooks/{webhook}/deliveries/{delivery}/replay")
        return print_json(again) if as_json else typer.echo(f"on its way as {again['id']}")
    answer = _post(f"/webhooks/{webhook}/replay", {"since": since})
    return print_json(answer) if as_json else typer.echo(f"on their way again: {answer['replayed']}")


@app.command("test")
def ping(webhook: Webhook, *, as_json: Json = False) -> None:
    """Send a ping; `deliveries` shows how that went."""
    sent = _post(f"/webhooks/{webhook}/test")
    return print_json(sent) if as_json else typer.echo(f"on its way as {sent['id']}")


@notify.command("test")
def try_out(
    kind: Annotated[Kind, typer.Argument(help="standard, feishu, wecom or dingtalk.")],
    url: Annotated[str, typer.Option(help="Where to; not needed with --dry-run.", envvar="FACTORY_NOTIFY_URL")] = "",
    secret: Annotated[str | None, typer.Option(help="The robot's secret.", envvar="FACTORY_WEBHOOK_SECRET")] = None,
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")] = False,
    as_json: Json = False,
) -> None:
    """Send a sample message from this machine, or show it."""
    from factory.cli.sample_message import sample_request, send_sample

    if not dry_run and not url:
        raise Usage("--url is needed to send; --dry-run shows the message without one")
    request = sample_request(kind.value, url=url, secret=secret)
    if dry_run:
        return print_json(request.as_dict) if as_json else typer.echo(request.as_text)
    outcome = send_sample(kind.value, request)
    if as_json:
        print_json(outcome)
    elif outcome["delivered"]:
        typer.echo("delivered")
    if not outcome["delivered"]:
        raise Failed(f"not delivered: {outcome['code']} {outcome['status'] or ''} {outcome['detail']}")
    return None


def _post(path: str, body: dict[str, Any] | None = None) -> Any:
    from factory.cli.client import connect

    with connect() as client:
        return client.post(path, json=body)


def _say(webhook: dict[str, Any], *, as_json: bool) -> None:
    return print_json(webhook) if as_json else typer.echo(f"{webhook['id']}: {webhook['status']}")


def _show_secret(webhook: dict[str, Any], *, given: bool) -> None:
    if given or "secret" not in webhook:
        return
    typer.echo("This secret is shown once. Receivers check signatures with it.", err=True)
    typer.echo(webhook["secret"])


def _cell(name: str, value: Any) -> Any:
    if name == "answer" and value:
        return f"{value.get('code')} {value.get('status') or ''} {value.get('detail') or ''}".strip()
    return moment(value) if name.endswith("_at") else value
