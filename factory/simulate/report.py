"""Report: what one policy made of a scenario, in figures."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from factory.simulate.arrivals import Arrival
from factory.simulate.play import Ledger
from factory.simulate.scenario import Scenario

# A promise: what stands before an order and the order itself, at the speed of all workers, half as much again, a load and a minute.
PROMISE_FACTOR, PROMISE_SECONDS = 1.5, 60.0


@dataclass(frozen=True)
class Waits:
    """Seconds from the order until a worker turns to the picture."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class Report:
    """Percentages are of all workers' time until the last picture.

    `interactive_p99` is until the picture is finished; `first_wait` is the longest that an order waited for its first picture;
    `ninety` is when nine tenths of the pictures were there. `take_ms` is real time for one claim, empty ones included.
    """

    policy: str
    pictures: int
    lost: int
    duplicates: int
    seconds: float
    busy_percent: float
    loading_percent: float
    loads: int
    loads_per_1000: float
    lora_switches: int
    waits: dict[str, Waits]
    tenants: dict[str, Waits]
    interactive_p99: float
    first_wait: float
    ninety: float
    promises_kept: float | None
    takes: int
    take_ms: float
    wall_seconds: float


def make_report(
    scenario: Scenario,
    arrivals: Sequence[Arrival],
    policy: str,
    ledger: Ledger,
    *,
    wall: float = 0.0,
    taking: float = 0.0,
    promises: Mapping[int, float] | None = None,
) -> Report:
    """`wall` and `taking` are real seconds: of the whole run, and of its claims. `promises`: see promises_kept."""
    pictures = [wanted for arrival in arrivals for wanted in arrival.pictures]
    classes: dict[str, list[float]] = defaultdict(list)
    tenants: dict[str, list[float]] = defaultdict(list)
    for wanted in pictures:
        if wanted.number in ledger.finished:
            waited = ledger.begun[wanted.number] - wanted.at
            classes["interactive" if wanted.interactive else "bulk"].append(waited)
            if not wanted.interactive:
                tenants[wanted.tenant].append(waited)
    ends = sorted(ledger.finished.values())
    capacity = scenario.workers * (ledger.ended or 1.0)
    latencies = [
        ledger.finished[wanted.number] - wanted.at for wanted in pictures if wanted.interactive and wanted.number in ledger.finished
    ]
    return Report(
        policy=policy,
        pictures=len(pictures),
        lost=len(pictures) - len(ledger.finished),
        duplicates=ledger.again,
        seconds=round(ledger.ended, 1),
        busy_percent=round(100 * ledger.drawing / capacity, 2),
        loading_percent=round(100 * ledger.loading / capacity, 2),
        loads=ledger.loads,
        loads_per_1000=round(1000 * ledger.loads / max(1, len(pictures)), 1),
        lora_switches=ledger.lora_switches,
        waits={name: waits_of(values) for name, values in sorted(classes.items())},
        tenants={name: waits_of(values) for name, values in sorted(tenants.items())},
        interactive_p99=round(percentile(latencies, 0.99), 2),
        first_wait=round(_first_wait(arrivals, ledger), 1),
        ninety=round(percentile(ends, 0.9), 1),
        promises_kept=promises_kept(arrivals, ledger, promises or promise(scenario, arrivals, ledger)) if scenario.deadlines else None,
        takes=ledger.takes,
        take_ms=round(1000 * taking / max(1, ledger.takes), 3),
        wall_seconds=round(wall, 1),
    )


def percentile(values: Iterable[float], share: float) -> float:
    """By nearest rank; 0 when there are none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else 0.0


def waits_of(values: Sequence[float]) -> Waits:
    return Waits(*(round(percentile(values, share), 2) for share in (0.5, 0.95, 0.99)))


def _first_wait(arrivals: Sequence[Arrival], ledger: Ledger) -> float:
    """Until the end for an order that got nothing."""
    return max(
        (
            min(ledger.begun.get(wanted.number, ledger.ended) for wanted in arrival.pictures) - arrival.at
            for arrival in arrivals
            if not arrival.pictures[0].interactive
        ),
        default=0.0,
    )


def promise(scenario: Scenario, arrivals: Sequence[Arrival], ledger: Ledger) -> dict[int, float]:
    """For policies that promise nothing themselves: when each batch, by its first picture, could be said to end when it came."""
    seconds = {wanted.number: wanted.seconds for arrival in arrivals for wanted in arrival.pictures}
    ends = sorted((end, seconds[number]) for number, end in ledger.finished.items())
    moments, drawn = [end for end, _ in ends], [0.0, *accumulate(cost for _, cost in ends)]
    ordered = 0.0
    made: dict[int, float] = {}
    for arrival in arrivals:
        ordered += sum(wanted.seconds for wanted in arrival.pictures)
        ahead = ordered - drawn[bisect_right(moments, arrival.at)]
        if not arrival.pictures[0].interactive:
            longest = PROMISE_FACTOR * ahead / scenario.workers + scenario.load_seconds + PROMISE_SECONDS
            made[arrival.pictures[0].number] = arrival.at + longest
    return made


def promises_kept(arrivals: Sequence[Arrival], ledger: Ledger, promises: Mapping[int, float]) -> float | None:
    """The share of promised batches that ended in time; None when nothing was promised."""
    kept = [
        max(ledger.finished.get(wanted.number, math.inf) for wanted in arrival.pictures) <= promises[arrival.pictures[0].number]
        for arrival in arrivals
        if arrival.pictures[0].number in promises
    ]
    return round(sum(kept) / len(kept), 4) if kept else None
