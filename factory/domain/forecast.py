"""Forecast: when an order will be drawn, if every tenant gets its share of the workers. A fluid picture of fair queueing: no job is looked at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

# How much faster and slower pictures turn out than expected: of sizes that were measured here, and of those that never were.
MEASURED = (0.85, 1.25)
GUESSED = (0.5, 2.0)


@dataclass(frozen=True)
class Flow:
    """What a tenant has waiting, in GPU seconds, and its weight."""

    backlog: float
    weight: float = 1.0


@dataclass(frozen=True)
class Line:
    """Where an order would stand: its tenant's own flow, the others in its lane, and what lanes before it have waiting.

    `cap` is how many pictures of the tenant may be in work at once.
    """

    own: Flow
    others: Sequence[Flow]
    ahead: float
    workers: int
    cap: int | None = None


@dataclass(frozen=True)
class Range:
    """Seconds from now. One order in ten ends before `p10`, half before `p50`, nine in ten before `p90`."""

    p10: float
    p50: float
    p90: float


def forecast(seconds: float, longest: float, measured: float, line: Line) -> Range:
    """`seconds` GPU seconds of work, its longest picture, and which part of it (0 … 1) has sizes whose speed was measured.

    p10: pictures are fast and nobody waits beside us. p90: pictures are slow, and the others go on ordering. Infinite where nobody may draw.
    """
    at_once = line.workers if line.cap is None else min(line.workers, line.cap)
    if at_once <= 0:
        return Range(math.inf, math.inf, math.inf)
    own = line.own.backlog + seconds
    rounds = own / line.own.weight
    shared = sum(min(other.backlog, other.weight * rounds) for other in line.others)
    contested = sum(max(other.weight * rounds, other.backlog) for other in line.others)
    fast, slow = (measured * known + (1 - measured) * guessed for known, guessed in zip(MEASURED, GUESSED, strict=True))

    def until(work: float, pace: float) -> float:
        return pace * max((line.ahead + work) / line.workers, own / at_once, longest)

    middle = until(own + shared, 1.0)
    return Range(min(until(own, fast), middle), middle, max(until(own + contested, slow), middle))
