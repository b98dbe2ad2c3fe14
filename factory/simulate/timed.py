"""Timed: a policy, and how much real time its claims took."""

from __future__ import annotations

import time

from factory.simulate.arrivals import Arrival
from factory.simulate.policy import Policy
from factory.simulate.worker import SimulatedWorker, Ticket


class Timed:
    """`taking` is in seconds."""

    def __init__(self, policy: Policy) -> None:
        self.name, self.fills_loads, self.taking = policy.name, policy.fills_loads, 0.0
        self._policy = policy

    def arrive(self, arrival: Arrival, at: float) -> None:
        self._policy.arrive(arrival, at)

    def take(self, worker: SimulatedWorker, at: float, *, ahead: bool) -> Ticket | None:
        began = time.perf_counter()
        try:
            return self._policy.take(worker, at, ahead=ahead)
        finally:
            self.taking += time.perf_counter() - began

    def turns_to(self, worker: SimulatedWorker, ticket: Ticket) -> None:
        self._policy.turns_to(worker, ticket)

    def finish(self, worker: SimulatedWorker, ticket: Ticket, at: float) -> bool:
        return self._policy.finish(worker, ticket, at)

    def tend(self, at: float) -> None:
        self._policy.tend(at)
