"""Crops: what the autoencoder sees of the pictures in a step, and which pictures it never sees."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

Pictures = Mapping[int, np.ndarray[Any, np.dtype[np.uint8]]]
HELD_OUT = 48


def as_tensor(pictures: np.ndarray[Any, Any], device: str) -> Tensor:
    """Bytes (count, height, width, 3) as fp32 (count, 3, height, width) in -1 … 1."""
    return torch.from_numpy(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2))).to(device).float() / 127.5 - 1


def crops(pictures: Pictures, side: int, count: int, chance: np.random.Generator) -> np.ndarray[Any, Any]:
    """`count` random squares of random pictures, (count, side, side, 3), out of every collection with sides that long, by its size."""
    able = [each for each in pictures.values() if each.shape[1] >= side]
    shares = np.array([len(each) for each in able], dtype=float)
    squares = []
    for place in chance.choice(len(able), count, p=shares / shares.sum()):
        picture = able[place][chance.integers(len(able[place]))]
        top, left = chance.integers(picture.shape[0] - side + 1, size=2)
        squares.append(picture[top : top + side, left : left + side])
    return np.stack(squares)


def split(pictures: Pictures) -> tuple[Pictures, Pictures]:
    """The front of each collection to learn from (a view: it may lie on disk), HELD_OUT pictures of its last 25th to measure with."""
    learn, held_out = {}, {}
    for side, each in pictures.items():
        border = len(each) - max(HELD_OUT, len(each) // 25)
        chosen = np.random.default_rng(side).choice(len(each) - border, HELD_OUT, replace=False)
        learn[side], held_out[side] = each[:border], each[np.sort(chosen) + border]
    return learn, held_out
