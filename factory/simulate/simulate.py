"""simulate: one scenario under several policies, all on the same arrivals, and the goals that production is held to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from factory.simulate.arrivals import Arrival, arrivals, losses
from factory.simulate.goals import Goal, References, goals
from factory.simulate.ground import Ground
from factory.simulate.peers import Fifo, PriorityFifo, QueuePerCheckpoint
from factory.simulate.play import Play
from factory.simulate.policy import Policy
from factory.simulate.production import Production
from factory.simulate.report import Report, make_report
from factory.simulate.scenario import Scenario
from factory.simulate.timed import Timed

OURS = "ours"
PEERS: dict[str, Callable[[Scenario, Sequence[Arrival]], Policy]] = {
    "fifo": lambda scenario, _: Fifo(scenario),
    "priority-fifo": lambda scenario, _: PriorityFifo(scenario),
    "queue-per-checkpoint": QueuePerCheckpoint,
}
POLICIES = (OURS, *PEERS)


@dataclass(frozen=True)
class Outcome:
    """`goals` are ours; none without `ours` among the policies."""

    scenario: Scenario
    reports: list[Report]
    goals: list[Goal]
    small_alone_p95: float | None = None


def simulate(scenario: Scenario, policies: Iterable[str], folder: Path, *, say: Callable[[str], None] = lambda _: None) -> Outcome:
    """`folder` is for the Postgres that production's verbs run on. Raises ServerFailed when it does not start."""
    wanted, ordered = list(policies), arrivals(scenario)
    reports = {name: play_peer(name, scenario, ordered) for name in PEERS if name in wanted}
    if OURS not in wanted:
        return Outcome(scenario, [reports[name] for name in wanted], [])
    fifo = reports.get("fifo") or play_peer("fifo", scenario, ordered)
    free = replace(scenario, load_seconds=0.0, lora_seconds=0.0, ram_seconds=None)
    no_swap = play_peer("fifo", free, ordered)
    say("starting a Postgres for production's verbs …")
    with Ground(folder) as ground:
        say(
            f"{sum(len(each.pictures) for each in ordered)} pictures, {scenario.workers} workers: production's claims, under a fake clock …"
        )
        reports[OURS] = play_ours(ground, scenario, ordered)
        small, alone = scenario.small_tenant, None
        if small is not None:
            say(f"once more, with {small} alone …")
            alone = play_ours(ground, scenario, only(small, ordered))
    found = list(goals(scenario, reports[OURS], References(fifo, no_swap, alone)))
    alone_p95 = alone.tenants[small].p95 if alone and small and small in alone.tenants else None
    return Outcome(scenario, [reports[name] for name in wanted], found, alone_p95)


def only(tenant: str, ordered: Sequence[Arrival]) -> list[Arrival]:
    """What one tenant orders, as if there were no other."""
    return [arrival for arrival in ordered if arrival.pictures[0].tenant == tenant]


def play_peer(name: str, scenario: Scenario, ordered: Sequence[Arrival]) -> Report:
    return _play(scenario, ordered, PEERS[name](scenario, ordered))


def play_ours(ground: Ground, scenario: Scenario, ordered: Sequence[Arrival]) -> Report:
    """On a database of its own."""
    with ground.books(scenario) as books:
        policy = Production(scenario, books)
        report = _play(scenario, ordered, policy, policy.promises)
        kept = policy.kept()
        # What the table says counts, not what the workers believe.
        return replace(report, lost=report.pictures - kept.delivered, duplicates=report.duplicates + kept.doubled)


def _play(scenario: Scenario, ordered: Sequence[Arrival], policy: Policy, promises: Mapping[int, float] | None = None) -> Report:
    timed, began = Timed(policy), time.perf_counter()
    ledger = Play(scenario, ordered, losses(scenario), timed).run()
    return make_report(scenario, ordered, policy.name, ledger, wall=time.perf_counter() - began, taking=timed.taking, promises=promises)
