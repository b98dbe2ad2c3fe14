"""play: the discrete events of one scenario under one policy: orders arrive, workers draw, vanish and come back."""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count

from factory.simulate.arrivals import Arrival
from factory.simulate.policy import Policy
from factory.simulate.scenario import Scenario
from factory.simulate.worker import SimulatedWorker, Stint, Ticket

UPKEEP_SECONDS = 5.0
# A worker looks for its next picture once the others have had the time to take theirs.
LOOK_AHEAD_SECONDS = 0.05
AWAY_SECONDS = 60.0


@dataclass
class Ledger:
    """What happened. `begun` and `finished` are by the number of the picture; `again` counts pictures that were finished twice."""

    begun: dict[int, float] = field(default_factory=dict)
    finished: dict[int, float] = field(default_factory=dict)
    again: int = 0
    refused: int = 0
    takes: int = 0
    drawing: float = 0.0
    loading: float = 0.0
    switching: float = 0.0
    wasted: float = 0.0
    loads: int = 0
    lora_switches: int = 0
    ended: float = 0.0


class Play:
    """`losses` says when which worker vanishes; it comes back after a minute with an empty card."""

    def __init__(self, scenario: Scenario, arrivals: Sequence[Arrival], losses: Sequence[tuple[float, int]], policy: Policy) -> None:
        self._scenario, self._policy = scenario, policy
        self._workers = [SimulatedWorker(f"gpu-{n}", scenario) for n in range(1, scenario.workers + 1)]
        self._idle = deque(self._workers)
        self._ledger, self._now, self._arrived = Ledger(), 0.0, 0
        self._expected = sum(len(arrival.pictures) for arrival in arrivals)
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        for arrival in arrivals:
            self._at(arrival.at, partial(self._arrive, arrival))
        for at, number in losses:
            self._at(at, partial(self._lose, self._workers[number]))
        self._at(UPKEEP_SECONDS, self._tick)

    def run(self) -> Ledger:
        """Until every picture is there, or patience ends."""
        ledger = self._ledger
        while self._events and len(ledger.finished) < self._expected and self._now < self._scenario.patience:
            self._now, _, act = heapq.heappop(self._events)
            act()
        ledger.ended = self._now
        ledger.loads = sum(worker.loads for worker in self._workers)
        ledger.lora_switches = sum(worker.lora_switches for worker in self._workers)
        return ledger

    def _at(self, moment: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._events, (moment, next(self._order), act))

    def _arrive(self, arrival: Arrival) -> None:
        self._policy.arrive(arrival, self._now)
        self._arrived += len(arrival.pictures)
        self._ring(len(arrival.pictures))

    def _tick(self) -> None:
        self._policy.tend(self._now)
        held = sum(sum(one is not None for one in (worker.present, worker.ahead, worker.awaited)) for worker in self._workers)
        self._ring(self._arrived - len(self._ledger.finished) - held)
        self._at(self._now + UPKEEP_SECONDS, self._tick)

    def _ring(self, pictures: int) -> None:
        """Whoever has been idle longest answers first, one worker for a picture."""
        for _ in range(min(pictures, len(self._idle))):
            self._work(self._idle.popleft())

    def _take(self, worker: SimulatedWorker, *, ahead: bool) -> Ticket | None:
        self._ledger.takes += 1
        return self._policy.take(worker, self._now, ahead=ahead)

    def _work(self, worker: SimulatedWorker) -> None:
        worker.present = ticket = self._next(worker)
        if ticket is None:
            self._idle.append(worker)
            return
        stint = worker.begin(ticket.wanted, self._now)
        worker.epoch += 1
        self._ledger.begun[ticket.wanted.number] = self._now
        self._at(self._now + LOOK_AHEAD_SECONDS, partial(self._look_ahead, worker, worker.epoch, self._now + stint.loading))
        self._at(self._now + stint.seconds, partial(self._done, worker, worker.epoch, ticket, stint))

    def _next(self, worker: SimulatedWorker) -> Ticket | None:
        """As production does: while a checkpoint comes others are drawn that are done before."""
        awaited = worker.awaited
        if awaited and worker.seconds_until(awaited.wanted, self._now) < self._scenario.image_seconds:
            return self._turn_to(worker, awaited)
        ticket, worker.ahead = worker.ahead, None
        ticket = ticket or self._take(worker, ahead=awaited is not None)
        return self._turn_to(worker, awaited) if ticket is None and awaited else ticket

    def _turn_to(self, worker: SimulatedWorker, awaited: Ticket) -> Ticket:
        worker.awaited = None
        self._policy.turns_to(worker, awaited)
        return awaited

    def _look_ahead(self, worker: SimulatedWorker, epoch: int, loaded: float) -> None:
        """As production does: the next picture is taken, and its checkpoint loaded, while this one is drawn."""
        if worker.epoch == epoch and worker.ahead is None:
            ticket = self._take(worker, ahead=True)
            if ticket is None:
                return
            if self._policy.fills_loads and ticket.wanted.checkpoint not in worker.loaded:
                worker.awaited = ticket
            else:
                worker.ahead = ticket
            worker.prefetch(ticket.wanted, max(self._now, loaded))

    def _done(self, worker: SimulatedWorker, epoch: int, ticket: Ticket, stint: Stint) -> None:
        if worker.epoch != epoch:
            return  # it vanished meanwhile
        worker.epoch += 1
        ledger, number = self._ledger, ticket.wanted.number
        ledger.loading += stint.loading
        ledger.switching += stint.switching
        if self._policy.finish(worker, ticket, self._now):
            ledger.drawing += stint.drawing
            ledger.again += number in ledger.finished
            ledger.finished[number] = self._now
        else:
            ledger.refused += 1
            ledger.wasted += stint.drawing
        self._work(worker)

    def _lose(self, worker: SimulatedWorker) -> None:
        if not worker.up:
            return
        if worker in self._idle:
            self._idle.remove(worker)
        if worker.present is not None:
            self._ledger.wasted += self._now - self._ledger.begun[worker.present.wanted.number]
        worker.restart()
        worker.up = False
        worker.epoch += 1
        self._at(self._now + AWAY_SECONDS, partial(self._return, worker))

    def _return(self, worker: SimulatedWorker) -> None:
        worker.up = True
        self._work(worker)
