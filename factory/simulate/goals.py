"""Goals: what the order of claims must reach, each with the figure that was seen and the bound that it is held against."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from factory.simulate.report import Report
from factory.simulate.scenario import Scenario

FEWER_LOADS = 5.0
OF_NO_SWAP = 95.0
# Bulk of another checkpoint may go first after it waited so long, once a worker has drawn so many pictures since its last load.
BULK_PATIENCE, MIN_RUN = 300.0, 30


@dataclass(frozen=True)
class Goal:
    """`seen` must be at most `bound`, or at least it where `at_least` is set."""

    name: str
    seen: float
    bound: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        return self.seen >= self.bound if self.at_least else self.seen <= self.bound


@dataclass(frozen=True)
class References:
    """Runs that goals are held against: a queue in order, no loads at all, and the small tenant without its neighbour."""

    fifo: Report
    no_swap: Report
    alone: Report | None = None


def goals(scenario: Scenario, ours: Report, against: References) -> Iterator[Goal]:
    """Those that the scenario can tell anything about."""
    picture, load = scenario.image_seconds, scenario.load_seconds
    yield Goal("pictures lost", ours.lost, 0)
    yield Goal("pictures doubled", ours.duplicates, 0)
    if scenario.checkpoints > scenario.vram:
        yield Goal("times fewer loads than fifo", _down(against.fifo.loads / max(1, ours.loads)), FEWER_LOADS, at_least=True)
    no_swap = 100 * against.no_swap.ninety / ours.ninety if ours.ninety else 0.0
    yield Goal("percent of the throughput without loads", _down(no_swap), OF_NO_SWAP, at_least=True)
    if "interactive" in ours.waits:
        yield Goal("interactive p99 until finished, seconds", ours.interactive_p99, round(3 * picture + load, 2))
    if "bulk" in ours.waits:
        patience = BULK_PATIENCE + MIN_RUN * picture + load
        yield Goal("longest wait of an order for its first picture, seconds", ours.first_wait, round(against.fifo.first_wait + patience, 1))
    small = scenario.small_tenant
    if small and against.alone and small in ours.tenants:
        bound = against.alone.tenants[small].p95 + 3 * picture + load
        yield Goal("small tenant's p95 beside its neighbour, seconds", ours.tenants[small].p95, round(bound, 2))


def _down(figure: float) -> float:
    """To one decimal, and never up to a bound that was missed."""
    return math.floor(10 * figure) / 10
