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

    `cap` is how many pictures of the tenant may be in work at once. `beside` is set where the order takes turns with what its tenant has
    waiting: with how many orders. Without, it comes after all of that.
    """

    own: Flow
    others: Sequence[Flow]
    ahead: float
    workers: int
    cap: int | None = None
    beside: float | None = None

    def before(self, seconds: float) -> tuple[float, float, float]:
        """The tenant's own GPU seconds that are drawn before the last of an order of `seconds`: at least, likely, at most."""
        backlog = self.own.backlog
        if self.beside is None:
            return backlog, backlog, backlog
        return 0.0, min(backlog, self.beside * seconds), min(backlog, 2 * self.beside * seconds)


@dataclass(frozen=True)
class Range:
    """Seconds from now. One order in ten ends before `p10`, half before `p50`, nine in ten before `p90`."""

    p10: float
    p50: float
    p90: float


def forecast(seconds: float, longest: float, measured: float, line: Line) -> Range:
    """`seconds` GPU seconds of work, its longest picture, and which part of it (0 … 1) has sizes whose speed was measured.

    p10: pictures are fast and nobody waits beside us. p90: pictures are slow, and the others, of our tenant too, go on ordering. Infinite where nobody may draw.
    """
    at_once = line.workers if line.cap is None else min(line.workers, line.cap)
    if at_once <= 0:
        return Range(math.inf, math.inf, math.inf)
    least, likely, most = (seconds + before for before in line.before(seconds))
    shared = sum(min(other.backlog, other.weight * likely / line.own.weight) for other in line.others)
    contested = sum(max(other.weight * most / line.own.weight, other.backlog) for other in line.others)
    fast, slow = (measured * known + (1 - measured) * guessed for known, guessed in zip(MEASURED, GUESSED, strict=True))

    def until(own: float, others: float, pace: float) -> float:
        return pace * max((line.ahead + own + others) / line.workers, own / at_once, longest)

    middle = until(likely, shared, 1.0)
    return Range(min(until(least, 0.0, fast), middle), middle, max(until(most, contested, slow), middle))
