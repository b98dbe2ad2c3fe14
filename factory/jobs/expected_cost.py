"""expected_cost: GPU seconds that a picture will take, from what pictures like it took."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from factory.domain.generation_spec import GenerationSpec
from factory.domain.speed import SECONDS_PER_MEGAPIXEL, Speed

MEGAPIXEL = 2**20


@dataclass(frozen=True)
class Speeds:
    """Seconds by checkpoint and pixels. Of an unseen size the nearest seen one speaks, in proportion; of an unseen checkpoint nobody."""

    seconds: Mapping[str, Mapping[int, float]] = field(default_factory=dict)

    def cost(self, checkpoint: str, pixels: int) -> float:
        """Expected GPU seconds of one picture, loading not counted."""
        seen = self.seconds.get(checkpoint)
        if not seen:
            return SECONDS_PER_MEGAPIXEL * pixels / MEGAPIXEL
        nearest = min(seen, key=lambda size: (abs(size - pixels), size))
        return seen[nearest] * pixels / nearest

    def cost_of(self, spec: GenerationSpec) -> float:
        return self.cost(spec.checkpoint, spec.width * spec.height)


def load_speeds(session: Session) -> Speeds:
    """What was learned so far; a few rows."""
    seconds: dict[str, dict[int, float]] = {}
    for speed in session.execute(select(Speed.checkpoint, Speed.pixels, Speed.seconds)):
        if speed.seconds > 0:
            seconds.setdefault(speed.checkpoint, {})[speed.pixels] = speed.seconds
    return Speeds(seconds)
