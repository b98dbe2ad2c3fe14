"""factory queue: close and open lanes, share out the GPUs, and ask why a job waits."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from factory.cli.exit_codes import OneLineErrors, Usage
from factory.cli.output import Json, moment, print_json, print_table
from factory.cli.settings_here import open_database, operator, settings_here
from factory.domain.status import Lane

app = typer.Typer(cls=OneLineErrors, no_args_is_help=True, help="Pause and resume lanes, share out the GPUs, ask why a job waits.")
WhichLane = Annotated[Lane | None, typer.Argument(help="Default: all of them.")]
Cap = Annotated[str | None, typer.Option(metavar="N", help="A number, or none for no cap of their own.")]
NONE = "none"


@app.command()
def status(*, as_json: Json = False) -> None:
    """Lanes, what waits and is in work, and the workers that are alive."""
    from datetime import timedelta

    from factory.jobs.queue_state import queue_state

    with open_database() as db:
        state = queue_state(db, silence=timedelta(seconds=settings_here().lease_seconds))
    lanes = [{**asdict(view), "paused": view.paused_at is not None} for view in state.lanes]
    workers = [{name: getattr(one, name) for name in ("name", "resident", "since_swap", "started_at", "seen_at")} for one in state.workers]
    if as_json:
        return print_json({"paused": state.paused, "running": state.running, "lanes": lanes, "workers": workers})
    rows = ([view["lane"], _open(view), f"{view['waiting']}{'+' if view['more'] else ''}", view["head_seconds"]] for view in lanes)
    print_table(["lane", "state", "waiting", "head waits s"], rows, title=f"in work: {state.running}")
    cells = ([one["name"], ", ".join(one["resident"]), one["since_swap"], moment(one["seen_at"])] for one in workers)
    return print_table(["worker", "loaded", "pictures since swap", "seen"], cells, empty="no worker is alive: `factory worker`")


@app.command()
def pause(lane: WhichLane = None, *, as_json: Json = False) -> None:
    """Begin nothing more of a lane; what is in work is finished."""
    from factory.jobs.lanes import pause_lane

    _turn(pause_lane, lane, "paused", as_json=as_json)


@app.command()
def resume(lane: WhichLane = None, *, as_json: Json = False) -> None:
    """Open a lane again; workers hear of it within seconds."""
    from factory.jobs.lanes import resume_lane

    _turn(resume_lane, lane, "resumed", as_json=as_json)


@app.command()
def allow(
    tenant: Annotated[str, typer.Argument(help="Whose allowance.")],
    user: Annotated[str, typer.Option(help="Of this user of the tenant, as orders name it.")] = "",
    weight: Annotated[float | None, typer.Option(help="Share of the GPUs beside others'; 1 is everybody's.")] = None,
    max_running: Cap = None,
    max_queued: Cap = None,
    *,
    as_json: Json = False,
) -> None:
    """Set weight and caps; what is not named stays. Without options, show them."""
    from dataclasses import replace

    from factory.domain.audit_event import Actor
    from factory.jobs.allowances import Grant, allowance_of, list_allowances, set_allowance
    from factory.jobs.opening_hours import closed_now

    changes: dict[str, Any] = {} if weight is None else {"weight": weight}
    for option, value in (("max_running", max_running), ("max_queued", max_queued)):
        if value is not None:
            changes[option] = read_cap(option, value)
    with open_database() as db:
        now = allowance_of(db, tenant=tenant, member=user)
        if changes:
            grant = replace(Grant(now.weight, now.max_running, now.max_queued), **changes)
            closed = closed_now(settings_here().offpeak_windows, settings_here().timezone)
            found = [set_allowance(db, tenant=tenant, member=user, grant=grant, actor=Actor("operator", operator()), closed=closed)]
        else:
            found = [now, *(row for row in list_allowances(db, tenant=tenant) if row.member and not user)]
    columns = ("tenant", "user", "weight", "max_running", "max_queued")
    rows = [{"user": row.member or None, **{name: getattr(row, name) for name in columns if name != "user"}} for row in found]
    if as_json:
        return print_json(rows[0] if changes or user else rows)
    return print_table([name.replace("_", " ") for name in columns], ([row[name] for name in columns] for row in rows))


@app.command()
def explain(job: Annotated[str, typer.Argument(help="Our id or yours.")], *, as_json: Json = False) -> None:
    """Why a job waits, how many go before it, and what would change that. Asks the API."""
    from factory.cli.client import connect

    with connect() as client:
        found = client.get(f"/jobs/{job}/explain")
    if as_json:
        return print_json(found)
    return show_explanation(found)


def show_explanation(found: dict[str, Any]) -> None:
    """A line that says how it stands, and a table of the reasons."""
    place, begins = found["position"], found["begins_in_seconds"]
    head = [f"{found['status']}, lane {found['lane']}"]
    head += [f"position {place}{' or later' if found['position_at_least'] else ''}"] if place else []
    head += [f"begins in {begins['from']} … {begins['to']} s"] if begins else []
    typer.echo("; ".join(head))
    print_table(["reason", "", "what would change it"], ([one["code"], one["message"], one["change"]] for one in found["reasons"]))


def _turn(verb: Any, lane: Lane | None, done: str, *, as_json: bool) -> None:
    from factory.domain.audit_event import Actor

    with open_database() as db:
        changed = [one.value for one in ([lane] if lane else Lane) if verb(db, lane=one, actor=Actor("operator", operator()))]
    if as_json:
        return print_json({done: changed})
    return typer.echo(f"{done}: {', '.join(changed)}" if changed else f"nothing to do: already {done}")


def read_cap(option: str, value: str) -> int | None:
    """A number, or none. Raises Usage."""
    if value.lower() == NONE:
        return None
    if not value.isascii() or not value.isdigit():
        raise Usage(f"--{option.replace('_', '-')} {value!r} must be a number, or {NONE}")
    return int(value)


def _open(view: dict[str, Any]) -> str:
    return f"paused by {view['paused_by']} since {moment(view['paused_at'])}" if view["paused"] else "open"
