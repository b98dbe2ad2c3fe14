"""What production is compared with, in memory, on the same arrivals: one queue, one queue with priorities, a queue for each checkpoint."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from itertools import count

from factory.simulate.arrivals import Arrival, Wanted
from factory.simulate.scenario import Scenario
from factory.simulate.worker import SimulatedWorker, Ticket

Key = tuple[float, ...]


class Fifo:
    """Any worker takes the oldest picture: what a list in Redis or a Celery queue does. Like every peer it has leases."""

    name = "fifo"
    fills_loads = False

    def __init__(self, scenario: Scenario) -> None:
        self._lease, self._tokens = scenario.lease, count()
        self._held: dict[int, tuple[int, float, Wanted]] = {}
        self._queues: dict[str, list[tuple[Key, int, Wanted]]] = defaultdict(list)

    def arrive(self, arrival: Arrival, at: float) -> None:
        for wanted in arrival.pictures:
            self._put(wanted)

    def take(self, worker: SimulatedWorker, at: float, *, ahead: bool) -> Ticket | None:
        waiting = [queue for queue in map(self._queues.__getitem__, self.places(worker)) if queue]
        if not waiting:
            return None
        wanted = heapq.heappop(self.choose(worker, waiting))[-1]
        token = next(self._tokens)
        self._held[wanted.number] = token, at + self._lease, wanted
        return Ticket(wanted, token)

    def turns_to(self, worker: SimulatedWorker, ticket: Ticket) -> None:
        """Nothing hangs on it."""

    def finish(self, worker: SimulatedWorker, ticket: Ticket, at: float) -> bool:
        held = self._held.get(ticket.wanted.number)
        if held is None or held[0] != ticket.token:
            return False
        del self._held[ticket.wanted.number]
        return True

    def tend(self, at: float) -> None:
        for number in [number for number, (_, until, _) in self._held.items() if until < at]:
            self._put(self._held.pop(number)[-1])

    def _put(self, wanted: Wanted) -> None:
        heapq.heappush(self._queues[self.place(wanted)], (self.key(wanted), wanted.number, wanted))

    def key(self, wanted: Wanted) -> Key:
        """The least goes first."""
        return (wanted.at,)

    def place(self, wanted: Wanted) -> str:
        """The queue it waits in."""
        return ""

    def places(self, worker: SimulatedWorker) -> Iterable[str]:
        """The queues that this worker serves."""
        return ("",)

    def choose(self, worker: SimulatedWorker, waiting: list[list[tuple[Key, int, Wanted]]]) -> list[tuple[Key, int, Wanted]]:
        return min(waiting)


class PriorityFifo(Fifo):
    """Interactive pictures first, whatever they cost in loads."""

    name = "priority-fifo"

    def key(self, wanted: Wanted) -> Key:
        return (0.0 if wanted.interactive else 1.0, wanted.at)


class QueuePerCheckpoint(Fifo):
    """Workers are dealt out to the checkpoints by a popularity known beforehand; each stays at a queue while it has work."""

    name = "queue-per-checkpoint"

    def __init__(self, scenario: Scenario, arrivals: Iterable[Arrival]) -> None:
        super().__init__(scenario)
        work: dict[str, float] = defaultdict(float)
        for arrival in arrivals:
            for wanted in arrival.pictures:
                work[wanted.checkpoint] += wanted.seconds
        self._homes = deal_out(work, scenario.workers)

    def place(self, wanted: Wanted) -> str:
        return wanted.checkpoint

    def places(self, worker: SimulatedWorker) -> Iterable[str]:
        return self._homes[int(worker.name.rsplit("-", 1)[1]) - 1]

    def choose(self, worker: SimulatedWorker, waiting: list[list[tuple[Key, int, Wanted]]]) -> list[tuple[Key, int, Wanted]]:
        stay = [queue for queue in waiting if queue[0][-1].checkpoint in worker.resident[:1]]
        return stay[0] if stay else min(waiting)


def deal_out(work: dict[str, float], workers: int) -> list[list[str]]:
    """The checkpoints lie side by side, as wide as their work; each worker serves what its equal part of that line touches."""
    line: list[tuple[float, float, str]] = []
    start = 0.0
    for checkpoint in sorted(work, key=lambda name: -work[name]):
        line.append((start, start + work[checkpoint], checkpoint))
        start += work[checkpoint]
    part = (start or 1.0) / workers
    homes = [[name for begins, ends, name in line if begins < (n + 1) * part and ends > n * part] for n in range(workers)]
    return [home or [line[-1][-1]] if line else [] for home in homes]
