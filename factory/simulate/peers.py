"""What production is compared with, in memory, on the same arrivals: one queue, one queue with priorities, a queue for each checkpoint."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable
from itertools import count

from factory.simulate.arrivals import Arrival, Wish
from factory.simulate.scenario import Scenario
from factory.simulate.worker import SimulatedWorker, Ticket

Key = tuple[float, ...]


class Fifo:
    """Any worker takes the oldest picture: what a list in Redis or a Celery queue does. Like every peer it has leases."""

    name = "fifo"

    def __init__(self, scenario: Scenario) -> None:
        self._lease, self._tokens = scenario.lease, count()
        self._held: dict[int, tuple[int, float, Wish]] = {}
        self._queues: dict[str, list[tuple[Key, int, Wish]]] = defaultdict(list)

    def arrive(self, arrival: Arrival, at: float) -> None:
        for wish in arrival.wishes:
            self._put(wish)

    def take(self, worker: SimulatedWorker, at: float, *, ahead: bool) -> Ticket | None:
        waiting = [queue for queue in map(self._queues.__getitem__, self.places(worker)) if queue]
        if not waiting:
            return None
        wish = heapq.heappop(self.choose(worker, waiting))[-1]
        token = next(self._tokens)
        self._held[wish.number] = token, at + self._lease, wish
        return Ticket(wish, token)

    def finish(self, worker: SimulatedWorker, ticket: Ticket, at: float) -> bool:
        held = self._held.get(ticket.wish.number)
        if held is None or held[0] != ticket.token:
            return False
        del self._held[ticket.wish.number]
        return True

    def tend(self, at: float) -> None:
        for number in [number for number, (_, until, _) in self._held.items() if until < at]:
            self._put(self._held.pop(number)[-1])

    def _put(self, wish: Wish) -> None:
        heapq.heappush(self._queues[self.place(wish)], (self.key(wish), wish.number, wish))

    def key(self, wish: Wish) -> Key:
        """The least goes first."""
        return (wish.at,)

    def place(self, wish: Wish) -> str:
        """The queue it waits in."""
        return ""

    def places(self, worker: SimulatedWorker) -> Iterable[str]:
        """The queues that this worker serves."""
        return ("",)

    def choose(self, worker: SimulatedWorker, waiting: list[list[tuple[Key, int, Wish]]]) -> list[tuple[Key, int, Wish]]:
        return min(waiting)


class PriorityFifo(Fifo):
    """Interactive pictures first, whatever they cost in loads."""

    name = "priority-fifo"

    def key(self, wish: Wish) -> Key:
        return (0.0 if wish.interactive else 1.0, wish.at)


class QueuePerCheckpoint(Fifo):
    """Workers are dealt out to the checkpoints by a popularity known beforehand; each stays at a queue while it has work."""

    name = "queue-per-checkpoint"

    def __init__(self, scenario: Scenario, arrivals: Iterable[Arrival]) -> None:
        super().__init__(scenario)
        work: dict[str, float] = defaultdict(float)
        for arrival in arrivals:
            for wish in arrival.wishes:
                work[wish.checkpoint] += wish.seconds
        self._homes = deal_out(work, scenario.workers)

    def place(self, wish: Wish) -> str:
        return wish.checkpoint

    def places(self, worker: SimulatedWorker) -> Iterable[str]:
        return self._homes[int(worker.name.rsplit("-", 1)[1]) - 1]

    def choose(self, worker: SimulatedWorker, waiting: list[list[tuple[Key, int, Wish]]]) -> list[tuple[Key, int, Wish]]:
        stay = [queue for queue in waiting if queue[0][-1].checkpoint in worker.resident[:1]]
        return stay[0] if stay else min(waiting)


def deal_out(work: dict[str, float], workers: int) -> list[list[str]]:
    """The checkpoints lie side by side, as wide as their work; each worker serves what its equal part of that line touches."""
    total, line, start = sum(work.values()) or 1.0, [], 0.0
    for checkpoint in sorted(work, key=lambda name: -work[name]):
        line.append((start, start + work[checkpoint], checkpoint))
        start += work[checkpoint]
    part = total / workers
    homes = [[name for begins, ends, name in line if begins < (n + 1) * part and ends > n * part] for n in range(workers)]
    return [home or [line[-1][-1]] if line else [] for home in homes]
