"""arrivals: who orders what and when, and when nodes are lost. The same for every policy: common random numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from factory.simulate.scenario import MEAN_SECONDS, SIZES, Scenario


@dataclass(frozen=True)
class Wanted:
    """One picture. `number` is unique in a scenario and its seed in the order; `seconds` is what a GPU takes to draw it."""

    number: int
    at: float
    tenant: str
    interactive: bool
    checkpoint: str
    lora: str
    width: int
    height: int
    seconds: float


@dataclass(frozen=True)
class Arrival:
    """One order: a single interactive picture, or the rows of a batch, which are all of one kind."""

    at: float
    pictures: tuple[Wanted, ...]


def arrivals(scenario: Scenario) -> list[Arrival]:
    """Poisson orders, log-normal sizes of batches, Zipf popularity of checkpoints and LoRAs; oldest first."""
    drafts = sorted([*_waiting(scenario), *_interactive(scenario), *_batches(scenario)], key=lambda draft: draft[0])
    made: list[Arrival] = []
    number = 1
    for at, tenant, interactive, count, kind in drafts:
        checkpoint, lora, (width, height, seconds, _) = kind
        scaled = seconds * scenario.image_seconds / MEAN_SECONDS
        pictures = tuple(Wanted(number + n, at, tenant, interactive, checkpoint, lora, width, height, scaled) for n in range(count))
        made.append(Arrival(at, pictures))
        number += count
    return made


def losses(scenario: Scenario) -> list[tuple[float, int]]:
    """When which worker vanishes, also after the last order; Poisson."""
    if not scenario.node_loss:
        return []
    chance, mean = Random(f"{scenario.seed} losses"), 3600 / scenario.node_loss
    found: list[tuple[float, int]] = []
    for worker in range(scenario.workers):
        at = chance.expovariate(1 / mean)
        while at < 2 * scenario.span:
            found.append((at, worker))
            at += chance.expovariate(1 / mean)
    return sorted(found)


Kind = tuple[str, str, tuple[int, int, float, float]]
Draft = tuple[float, str, bool, int, Kind]


def _waiting(scenario: Scenario) -> Iterator[Draft]:
    if scenario.bulk:
        yield 0.0, scenario.tenant_names[0], False, scenario.bulk, (scenario.checkpoint_names[0], "", SIZES[2])


def _interactive(scenario: Scenario) -> Iterator[Draft]:
    chance, kinds = Random(f"{scenario.seed} interactive"), _kinds(scenario, "interactive kinds")
    weights = _weights(scenario)
    # Beside nothing but a batch that waits from the start: once that is under way.
    first = 0.0 if scenario.jobs else scenario.span / 5
    for _ in range(scenario.interactive_pictures):
        tenant = chance.choices(scenario.tenant_names, weights)[0]
        yield chance.uniform(first, scenario.span), tenant, True, 1, next(kinds)


def _batches(scenario: Scenario) -> Iterator[Draft]:
    """Each tenant has its own numbers, so that taking another one away changes nothing for it; all order about as often."""
    left = max(0, scenario.jobs - scenario.interactive_pictures)
    weights = _weights(scenario)
    for tenant, weight in zip(scenario.tenant_names, weights, strict=True):
        chance, kinds = Random(f"{scenario.seed} {tenant}"), _kinds(scenario, f"{tenant} kinds")
        mine = round(left * weight / sum(weights))
        mean = max(1.0, scenario.rows * weight * scenario.tenants / sum(weights))
        while mine > 0:
            rows = min(mine, max(1, round(chance.lognormvariate(math.log(mean) - 0.5, 1.0))))
            yield chance.uniform(0, scenario.span), tenant, False, rows, next(kinds)
            mine -= rows


def _weights(scenario: Scenario) -> list[float]:
    return [scenario.skew, *[1.0] * (scenario.tenants - 1)]


def _kinds(scenario: Scenario, stream: str) -> Iterator[Kind]:
    """What is ordered: a checkpoint, half of the time one of its LoRAs, a size."""
    chance = Random(f"{scenario.seed} {stream}")
    checkpoints, popularity = scenario.checkpoint_names, _zipf(scenario.checkpoints, scenario.zipf)
    shares = [share for *_, share in SIZES]
    while True:
        checkpoint = chance.choices(checkpoints, popularity)[0]
        with_lora, which, size = chance.random() < 0.5, chance.random(), chance.choices(SIZES, shares)[0]
        loras = scenario.lora_names(checkpoint)
        yield checkpoint, loras[int(which * which * len(loras))] if loras and with_lora else "", size


def _zipf(count: int, exponent: float) -> list[float]:
    return [1 / rank**exponent for rank in range(1, count + 1)]
