"""Corpus: drawn pictures, kept on disk, and the scenes that they show."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from demo.shop.goods import Scene, every_scene
from demo.shop.picture import draw

Pictures = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Corpus:
    """`times` pictures of each item, colour and background, `side` pixels square, in one style; seeds count from `first_seed`."""

    side: int
    times: int
    first_seed: int = 0
    style: str = "photo"

    @property
    def name(self) -> str:
        """What its files are called."""
        return f"{self.style}-{self.side}-{self.times}-{self.first_seed}"

    @property
    def scenes(self) -> Sequence[Scene]:
        """In the order of the pictures."""
        return list(every_scene(self.times, first_seed=self.first_seed))

    def pictures(self, folder: Path) -> Pictures:
        """All pictures, uint8 (N, side, side, 3), mapped from a file in `folder`; drawn on every core when it is not there yet."""
        file = folder / f"{self.name}.npy"
        if not file.exists():
            self._draw_into(file)
        return np.load(file, mmap_mode="r")  # type: ignore[no-any-return]

    def _draw_into(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        fresh, scenes = file.with_suffix(".new"), self.scenes
        pictures = np.lib.format.open_memmap(fresh, mode="w+", dtype=np.uint8, shape=(len(scenes), self.side, self.side, 3))
        with multiprocessing.get_context("spawn").Pool(os.cpu_count()) as pool:
            for number, picture in enumerate(pool.imap(self._one, scenes, chunksize=64)):
                pictures[number] = picture
        pictures.flush()
        fresh.replace(file)

    def _one(self, scene: Scene) -> Pictures:
        return draw(scene, self.side, self.style)
