"""Scenario: what is simulated. Times are seconds unless their name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

# width, height, GPU seconds, share of the orders: eight evaluations on a common card
SIZES = ((512, 512, 0.7, 0.10), (768, 768, 1.2, 0.15), (1024, 1024, 2.0, 0.65), (1536, 1024, 3.0, 0.10))
MEAN_SECONDS = sum(seconds * share for _, _, seconds, share in SIZES)


@dataclass(frozen=True)
class Scenario:
    """`jobs` arrive over time; `bulk` rows more wait from the start, as one order.

    `interactive` below 1 is a share of `jobs`, from 1 on a number of pictures. The first tenant orders `skew` times what each other
    one does. `load` is the share of all GPU time that `jobs` need, unless `hours` says how long they take to arrive.
    The defaults are a Monday morning: a fifth more than the cards can do, so that every policy has a backlog to choose from.
    `vram` counts checkpoints; with `ram_seconds` a node keeps in RAM what it loaded once. `node_loss` is per worker and hour.
    With `deadlines` each order is promised an end when it comes.
    """

    jobs: int = 5000
    bulk: int = 0
    interactive: float = 0.05
    rows: int = 20
    workers: int = 16
    tenants: int = 3
    skew: float = 1.0
    checkpoints: int = 8
    zipf: float = 1.2
    loras: int = 0
    load_seconds: float = 7.5
    image_seconds: float = MEAN_SECONDS
    lora_seconds: float = 0.3
    ram_seconds: float | None = None
    vram: int = 2
    node_loss: float = 0.0
    hours: float | None = None
    load: float = 1.2
    deadlines: bool = False
    seed: int = 1

    @property
    def interactive_pictures(self) -> int:
        return int(self.interactive) if self.interactive >= 1 else round(self.jobs * self.interactive)

    @property
    def span(self) -> float:
        """How long orders go on arriving."""
        if self.hours is not None:
            return self.hours * 3600
        if self.jobs:
            return self.jobs * self.image_seconds / self.workers / self.load
        return self.bulk * self.image_seconds / self.workers * 0.9

    @property
    def lease(self) -> float:
        """Longer than any two pictures with their loads, so that nothing needs renewal."""
        return max(60.0, 4 * (self.load_seconds + 2 * self.image_seconds))

    @property
    def patience(self) -> float:
        """After so long a picture that has not come is lost."""
        return self.span + 3 * (self.jobs + self.bulk + 100) * (self.image_seconds + self.load_seconds) / self.workers + 3600

    @property
    def tenant_names(self) -> list[str]:
        return [f"tenant-{n}" for n in range(1, self.tenants + 1)]

    @property
    def small_tenant(self) -> str | None:
        """The one that a large neighbour might push aside; None when all are alike."""
        return self.tenant_names[-1] if self.tenants > 1 and self.skew > 1 else None

    @property
    def checkpoint_names(self) -> list[str]:
        """The most popular first."""
        return [f"checkpoint-{n}" for n in range(1, self.checkpoints + 1)]

    def lora_names(self, checkpoint: str) -> list[str]:
        return [f"{checkpoint}-lora-{n}" for n in range(1, self.loras + 1)]
