"""Policy: what decides which picture a worker draws next. Production is one, the peers in memory are the others."""

from __future__ import annotations

from typing import Protocol

from factory.simulate.arrivals import Arrival
from factory.simulate.worker import SimulatedWorker, Ticket


class Policy(Protocol):
    """Every call says what time it is; times never go back."""

    name: str
    fills_loads: bool  # whether it can say which pictures a worker may draw while a checkpoint comes

    def arrive(self, arrival: Arrival, at: float) -> None:
        """An order comes in."""

    def take(self, worker: SimulatedWorker, at: float, *, ahead: bool) -> Ticket | None:
        """The next picture for this worker, under a lease; `ahead`: it will draw another one first."""

    def turns_to(self, worker: SimulatedWorker, ticket: Ticket) -> None:
        """The checkpoint has come that this picture was waiting for."""

    def finish(self, worker: SimulatedWorker, ticket: Ticket, at: float) -> bool:
        """False when somebody else has the picture by now."""

    def tend(self, at: float) -> None:
        """Upkeep, every few seconds: leases that ran out, and whatever else the policy has to do."""
