"""The learning rate over a run: a short warm-up, a plateau, and a straight line down."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """`warm_up` in steps; `decay_from` and `last` are shares, of the run and of the full rate."""

    warm_up: int
    decay_from: float
    last: float = 0.02

    def pace(self, step: int, steps: int) -> float:
        """Share of the full rate at `step`, from 0, of `steps`."""
        left = (1 - step / steps) / (1 - self.decay_from)
        return min((step + 1) / self.warm_up, 1.0, self.last + (1 - self.last) * left)
