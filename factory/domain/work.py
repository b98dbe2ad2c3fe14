"""Work: what an order waits for in one lane."""

from __future__ import annotations

from dataclasses import dataclass

from factory.domain.forecast import Line, Range, forecast


@dataclass
class Work:
    """In GPU seconds: what the order would draw itself, what equal jobs have waiting (`awaited`), the longest picture of both, and how
    much of both has a measured speed."""

    seconds: float = 0.0
    longest: float = 0.0
    measured: float = 0.0
    awaited: float = 0.0

    def draw(self, cost: float, *, measured: bool) -> None:
        self.seconds += cost
        self._count(cost, measured=measured)

    def wait_for(self, cost: float, *, measured: bool) -> None:
        self.awaited += cost
        self._count(cost, measured=measured)

    def until(self, line: Line) -> Range:
        """When all of it is drawn. What equal jobs have waiting stands in the line already."""
        return forecast(self.seconds, self.longest, self.measured / (self.seconds + self.awaited), line)

    def _count(self, cost: float, *, measured: bool) -> None:
        self.longest = max(self.longest, cost)
        self.measured += cost if measured else 0.0
