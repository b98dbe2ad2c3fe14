"""factory simulate: production's claims under a fake clock, against simpler queues, on the same orders."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from factory.cli.exit_codes import Failed, Usage
from factory.cli.output import Json, count, print_json, print_table

if TYPE_CHECKING:
    from factory.simulate.report import Report
    from factory.simulate.scenario import Scenario
    from factory.simulate.simulate import Outcome


def simulate(
    jobs: Annotated[int | None, typer.Option(min=0, help="Pictures that are ordered over time; default 5000, none with --bulk.")] = None,
    bulk: Annotated[int, typer.Option(min=0, help="Rows that wait from the start, as one order.")] = 0,
    interactive: Annotated[
        float, typer.Option(min=0, help="Share of --jobs that people wait for; from 1 on, a number of pictures.")
    ] = 0.05,
    rows: Annotated[int, typer.Option(min=1, help="Rows of an order, on average.")] = 20,
    workers: Annotated[int, typer.Option(min=1, max=1000, help="GPUs.")] = 16,
    tenants: Annotated[int, typer.Option(min=1, max=1000)] = 3,
    skew: Annotated[str, typer.Option(help="How much more the first tenant orders than each other, as 30:1.")] = "1:1",
    checkpoints: Annotated[int, typer.Option(min=0, help="Default 8; 1 with --bulk alone or --skew.")] = 0,
    zipf: Annotated[float, typer.Option(min=0, help="Exponent of their popularity.")] = 1.2,
    loras: Annotated[int, typer.Option(min=0, help="LoRAs of each checkpoint; half of the orders use one.")] = 0,
    load_seconds: Annotated[float, typer.Option(min=0, help="One checkpoint from disk.")] = 7.5,
    image_seconds: Annotated[float, typer.Option(min=0.1, help="One picture, on average.")] = 1.85,
    lora_seconds: Annotated[float, typer.Option(min=0, help="Change of the LoRA.")] = 0.3,
    ram_seconds: Annotated[float, typer.Option(min=0, help="A checkpoint from the node's memory; 0 = it keeps none there.")] = 0,
    vram: Annotated[int, typer.Option(min=1, help="Checkpoints that a card holds.")] = 2,
    node_loss: Annotated[float, typer.Option(min=0, help="How often a worker vanishes, per hour.")] = 0,
    hours: Annotated[float, typer.Option(min=0, help="How long orders arrive; default: by --load.")] = 0,
    load: Annotated[float, typer.Option(min=0.01, help="Work that arrives, as a share of what all GPUs can do.")] = 1.2,
    seed: Annotated[int, typer.Option(help="The same seed gives the same orders.")] = 1,
    policy: Annotated[str, typer.Option(help="ours, fifo, priority-fifo, queue-per-checkpoint; several with commas.")] = "ours",
    *,
    against_all: Annotated[bool, typer.Option("--against-all", help="Every policy on the same orders.")] = False,
    deadlines: Annotated[
        bool, typer.Option("--deadlines", help="Promise each order an end when it comes, and count what was kept.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Play hours of a factory in a minute: production's claims on a Postgres of its own, a fake clock, workers that only take time.

    Exits 1 when pictures were lost or doubled. A goal that is missed is shown as MISSED and leaves 0: few GPUs may not reach them all.
    """
    asked = dict(locals())
    wanted = _policies(policy, against_all=against_all)
    outcome = _play(_scenario(asked), wanted)
    print_json(facts(outcome)) if as_json else _show(outcome)
    if any(report.lost or report.duplicates for report in outcome.reports if report.policy == "ours"):
        raise Failed("pictures were lost or doubled")


def _policies(given: str, *, against_all: bool) -> list[str]:
    from factory.simulate.simulate import POLICIES

    wanted = list(POLICIES) if against_all else list(dict.fromkeys(name.strip() for name in given.split(",")))
    if unknown := sorted(set(wanted) - set(POLICIES)):
        raise Usage(f"--policy {', '.join(unknown)!r}: choose from {', '.join(POLICIES)}")
    return wanted


def _scenario(asked: dict[str, Any]) -> Scenario:
    """Options have the names of the scenario's fields; what is 0 or empty there is for us to decide."""
    from factory.simulate.scenario import Scenario

    jobs = asked["jobs"] if asked["jobs"] is not None else 0 if asked["bulk"] else 5000
    skew = _ratio(asked["skew"])
    decided = {
        "jobs": jobs,
        "skew": skew,
        "checkpoints": asked["checkpoints"] or (1 if skew > 1 or not jobs else 8),
        "ram_seconds": asked["ram_seconds"] or None,
        "hours": asked["hours"] or None,
    }
    scenario = Scenario(**{field.name: asked[field.name] for field in fields(Scenario)} | decided)
    if scenario.jobs + scenario.bulk + scenario.interactive_pictures < 1:
        raise Usage("nothing is ordered: give --jobs, --bulk or --interactive")
    if not scenario.span:
        raise Usage("--interactive without --jobs and --bulk: say in --hours how long people order")
    return scenario


def _play(scenario: Scenario, wanted: list[str]) -> Outcome:
    from factory.cli.narrator import narrator
    from factory.embedded.server import ServerFailed
    from factory.simulate.simulate import simulate as play

    try:
        with tempfile.TemporaryDirectory(prefix="factory-simulate-") as folder:
            return play(scenario, wanted, Path(folder), say=narrator())
    except (ServerFailed, FileNotFoundError) as failure:
        raise Failed(str(failure)) from failure


def _ratio(skew: str) -> float:
    """`30:1` → 30."""
    large, _, small = skew.partition(":")
    try:
        ratio = float(large) / float(small or 1)
    except (ValueError, ZeroDivisionError):
        ratio = 0.0
    if not 1 <= ratio < 1e6:
        raise Usage(f"--skew {skew!r}: write how much larger the first tenant is, as 30:1")
    return ratio


def facts(outcome: Outcome) -> dict[str, Any]:
    """What programs ask for first stands on top, of `ours` or else of the first policy."""
    scenario = outcome.scenario
    first = next((report for report in outcome.reports if report.policy == "ours"), outcome.reports[0])
    return {
        "jobs": first.pictures,
        "lost": first.lost,
        "duplicates": first.duplicates,
        "image_s": round(scenario.image_seconds, 3),
        "load_s": scenario.load_seconds,
        "interactive_wait_s": first.waits["interactive"].p99 if "interactive" in first.waits else None,
        "small_tenant_wait_p95_s": _small_wait(scenario, first),
        "small_tenant_alone_p95_s": outcome.small_alone_p95,
        "lora_swaps": first.lora_switches,
        "promises_kept": first.promises_kept,
        "goals_met": all(goal.met for goal in outcome.goals) if outcome.goals else None,
        "goals": [{**asdict(goal), "met": goal.met} for goal in outcome.goals],
        "policies": [asdict(report) for report in outcome.reports],
        "scenario": asdict(scenario) | {"span_seconds": round(scenario.span, 1)},
    }


def _small_wait(scenario: Scenario, report: Report) -> float | None:
    small = scenario.small_tenant
    return report.tenants[small].p95 if small and small in report.tenants else None


def _show(outcome: Outcome) -> None:
    from rich.text import Text

    scenario, reports = outcome.scenario, outcome.reports
    names = [report.policy for report in reports]
    print_table(
        ["", *names],
        ([name, *cells] for name, cells in _lines(outcome)),
        title=f"{reports[0].pictures} pictures, {scenario.workers} GPUs, {count(scenario.checkpoints, 'checkpoint')}, {scenario.vram} fit a card",
    )
    print_table(
        ["goal", "seen", "bound", "verdict"],
        (
            [
                goal.name,
                f"{goal.seen:g}",
                f"{'≥' if goal.at_least else '≤'} {goal.bound:g}",
                Text("met", style="green") if goal.met else Text("MISSED", style="red"),
            ]
            for goal in outcome.goals
        ),
        empty="goals are of production's claims: add `ours` to --policy",
    )


def _lines(outcome: Outcome) -> list[tuple[str, list[str]]]:
    reports = outcome.reports

    def line(name: str, cell: Any) -> tuple[str, list[str]]:
        return name, [cell(report) for report in reports]

    lines = [
        line("until the last picture", lambda each: f"{each.seconds:.0f} s"),
        line("GPUs drawing", lambda each: f"{each.busy_percent:.1f} %"),
        line("GPUs waiting for a load", lambda each: f"{each.loading_percent:.1f} %"),
        line("loads per 1000 pictures", lambda each: f"{each.loads_per_1000:.1f}"),
        line("LoRA changes", lambda each: str(each.lora_switches)),
        line("interactive finished, p99", lambda each: f"{each.interactive_p99:.1f} s"),
        *(line(f"wait, {name}: p50 / p95 / p99", lambda each, name=name: _waits(each.waits.get(name))) for name in ("interactive", "bulk")),
        *(
            line(f"wait, {tenant}: p50 / p95 / p99", lambda each, tenant=tenant: _waits(each.tenants.get(tenant)))
            for tenant in outcome.scenario.tenant_names[:6]
        ),
        line("longest wait of an order", lambda each: f"{each.first_wait:.0f} s"),
        line("lost / doubled", lambda each: f"{each.lost} / {each.duplicates}"),
        line("real time for a claim", lambda each: f"{each.take_ms:.2f} ms" if each.policy == "ours" else ""),
    ]
    if outcome.scenario.deadlines:
        lines.append(line("promises kept", lambda each: "–" if each.promises_kept is None else f"{100 * each.promises_kept:.1f} %"))
    return lines


def _waits(waits: Any) -> str:
    return f"{waits.p50:.1f} / {waits.p95:.1f} / {waits.p99:.1f} s" if waits else "–"
