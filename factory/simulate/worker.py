"""SimulatedWorker: a GPU process that only takes time: which checkpoints it holds, and what each picture costs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from factory.simulate.arrivals import Wanted
from factory.simulate.scenario import Scenario


@dataclass(frozen=True)
class Ticket:
    """A picture that a worker has taken; `token` is whatever the policy needs to recognise it."""

    wanted: Wanted
    token: Any = None


@dataclass(frozen=True)
class Stint:
    """What one picture costs a worker."""

    loading: float
    switching: float
    drawing: float

    @property
    def seconds(self) -> float:
        return self.loading + self.switching + self.drawing


class SimulatedWorker:
    """`resident` names its checkpoints, last used first, the one that comes among them. `epoch` changes whenever what was planned for it no
    longer counts. `lives` counts its starts. `ahead` is drawn next, `awaited` once its checkpoint is there.
    """

    ahead: Ticket | None
    awaited: Ticket | None
    present: Ticket | None

    def __init__(self, name: str, scenario: Scenario) -> None:
        self.name, self._scenario = name, scenario
        self.loads = self.lora_switches = self.epoch = self.lives = 0
        self._in_ram: set[str] = set()
        self.restart()

    def restart(self) -> None:
        """An empty card, as after a crash; what it has cost so far stays counted."""
        self.resident: list[str] = []
        self._coming: dict[str, float] = {}
        self._in_ram.clear()
        self.lora, self.ahead, self.awaited, self.present = "", None, None, None
        self.lives += 1
        self.up = True

    def begin(self, wanted: Wanted, at: float) -> Stint:
        """Turn to a picture."""
        held = wanted.checkpoint in self.resident and wanted.checkpoint not in self._coming
        loading = 0.0 if held else self._wait_for(wanted.checkpoint, at)
        self.resident.remove(wanted.checkpoint)
        self.resident.insert(0, wanted.checkpoint)
        switches = bool(wanted.lora) and wanted.lora != self.lora
        self.lora_switches += switches
        self.lora = wanted.lora
        return Stint(loading, self._scenario.lora_seconds if switches else 0.0, wanted.seconds)

    @property
    def loaded(self) -> list[str]:
        """Checkpoints that are there, last used first."""
        return [name for name in self.resident if name not in self._coming]

    def seconds_until(self, wanted: Wanted, at: float) -> float:
        """Until its checkpoint is there, if that is on its way."""
        return max(0.0, self._coming.get(wanted.checkpoint, at) - at)

    def prefetch(self, wanted: Wanted, at: float) -> None:
        """Load beside the picture that is being drawn, where there is room for both."""
        if self._scenario.vram > 1 and wanted.checkpoint not in self.resident:
            self._coming[wanted.checkpoint] = at + self._load(wanted.checkpoint, place=1)

    def _wait_for(self, checkpoint: str, at: float) -> float:
        if checkpoint in self._coming:
            return max(0.0, self._coming.pop(checkpoint) - at)
        return self._load(checkpoint, place=0)

    def _load(self, checkpoint: str, *, place: int) -> float:
        """The least recently used one goes. Seconds until it is there."""
        scenario = self._scenario
        while len(self.resident) >= scenario.vram:
            self._coming.pop(self.resident.pop(), None)
        self.resident.insert(place, checkpoint)
        self.loads += 1
        from_ram = scenario.ram_seconds is not None and checkpoint in self._in_ram
        self._in_ram.add(checkpoint)
        return scenario.ram_seconds if from_ram and scenario.ram_seconds is not None else scenario.load_seconds
