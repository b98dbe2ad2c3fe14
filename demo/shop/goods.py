"""What the shop sells: ten items in ten colours before ten backgrounds."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

OBJECTS = ("mug", "teapot", "bottle", "lamp", "chair", "handbag", "sneaker", "tshirt", "headphones", "watch")
COLOURS = ("red", "orange", "yellow", "green", "teal", "blue", "purple", "pink", "white", "black")
BACKGROUNDS = ("white", "grey", "wood", "beach", "grass", "night", "pink", "blue", "marble", "brick")


@dataclass(frozen=True)
class Scene:
    """One picture to draw: indices into OBJECTS, COLOURS and BACKGROUNDS; `seed` decides pose, tone and light."""

    item: int
    colour: int
    background: int
    seed: int = 0

    def __str__(self) -> str:
        return f"{COLOURS[self.colour]} {OBJECTS[self.item]}, {BACKGROUNDS[self.background]}, {self.seed}"


def every_scene(times: int, *, first_seed: int = 0) -> Iterator[Scene]:
    """Each item in each colour before each background, `times` times over, every one with a seed of its own."""
    triples = itertools.product(range(times), range(len(OBJECTS)), range(len(COLOURS)), range(len(BACKGROUNDS)))
    for seed, (_, item, colour, background) in enumerate(triples, first_seed):
        yield Scene(item, colour, background, seed)
