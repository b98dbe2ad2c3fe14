"""How well the generated items are shaped: two scores beside the drawings they were learned from."""

from __future__ import annotations

import random
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from diffusers import AutoencoderKL

from demo.shop.goods import OBJECTS, Scene
from demo.shop.picture import draw
from demo.shop.pixels import Pixels
from demo.training.outlines import Patterns
from demo.training.real_or_generated import Share, told_apart
from demo.training.reconstruct import reconstruct

POSES = 6
COMPARED = 100
FRESH = 1 << 42  # poses that neither the training nor the judge has seen


@dataclass(frozen=True)
class ShapeScores:
    """Of one side. `told_apart`: generated against reconstructed drawings. The rest are mean outline scores: 1 is the same,
    `other_item` what a wrong item of the right colour and background would get.
    """

    told_apart: Share
    generated: float
    reconstructed: float
    drawn: float
    other_item: float
    generated_by_object: dict[str, float]


def poses_of(scenes: Iterable[Scene], first_seed: int) -> list[Scene]:
    """The same goods in poses of other seeds."""
    return [Scene(scene.item, scene.colour, scene.background, seed) for seed, scene in enumerate(scenes, first_seed)]


def shape_scores(vae: AutoencoderKL, generated: Pixels, scenes: list[Scene], *, compared: int = COMPARED) -> ShapeScores:
    """`generated` uint8 (N, S, S, 3) shows `scenes`; outlines are compared on `compared` of them by chance."""
    side = generated.shape[1]
    order = list(range(len(scenes)))
    random.Random(side).shuffle(order)
    scenes, generated = [scenes[place] for place in order], generated[order]
    drawn = np.stack([draw(pose, side) for pose in poses_of(scenes, FRESH)])
    again = reconstruct(vae, drawn)
    wrong = np.stack([draw(replace(scene, item=(scene.item + 1) % len(OBJECTS)), side) for scene in scenes[:compared]])
    scores = outline_scores(scenes[:compared], (generated, again, drawn, wrong))
    by_object = {
        name: statistics.fmean(found)
        for place, name in enumerate(OBJECTS)
        if (found := [score[0] for scene, score in zip(scenes, scores, strict=False) if scene.item == place])
    }
    means = [statistics.fmean(column) for column in zip(*scores, strict=True)]
    return ShapeScores(told_apart(again, generated), means[0], means[1], means[2], means[3], by_object)


def outline_scores(scenes: list[Scene], kinds: tuple[Pixels, ...]) -> list[tuple[float, ...]]:
    """For each scene the outline score of its picture of each kind, (N, S, S, 3) each, against POSES other drawings of it."""
    side, scores = kinds[0].shape[1], []
    for place, scene in enumerate(scenes):
        first = 2 * FRESH + POSES * place
        patterns = Patterns.of(scene, side, range(first, first + POSES))
        scores.append(tuple(patterns.likeness(kind[place]) for kind in kinds))
    return scores
