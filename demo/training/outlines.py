"""How close a generated item's outlines are to those of the nearest drawing: 1 is the same, whatever the pose."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional

from demo.shop.goods import Scene
from demo.shop.picture import SHADOW, draw, drawing, rasterised
from demo.shop.pixels import Pixels

STEP = 0.06  # a tenth of the contrast between an item and most backgrounds counts as an edge
SCALES = (0.96, 1.0, 1.04)
DIRECTIONS = 6  # of 30° each; an edge may be matched by one of its own or a neighbouring direction
REACH = 0.07  # of the side: how far the nearest drawing may be moved

Mask = npt.NDArray[np.bool_]


def edges(pictures: Pixels) -> torch.Tensor:
    """Ridges of the steepest channel's Sobel slope, one pixel wide, by direction: uint8 (N, H, W, 3) → 0.0 or 1.0 (N, 6, H, W)."""
    values = torch.from_numpy(pictures.copy()).permute(0, 3, 1, 2).float() / 255
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]]) / 4
    channels = functional.pad(values.flatten(0, 1)[:, None], (1, 1, 1, 1), mode="replicate")
    slopes = functional.conv2d(channels, torch.stack([sobel, sobel.T])[:, None]).unflatten(0, (-1, 3))
    steep, channel = slopes.square().sum(dim=2).sqrt().max(dim=1)
    across, down = slopes.gather(1, channel[:, None, None].expand(-1, -1, 2, -1, -1))[:, 0].unbind(dim=1)
    sideways = functional.max_pool2d(steep, (1, 3), 1, (0, 1)) <= steep
    upright = functional.max_pool2d(steep, (3, 1), 1, (1, 0)) <= steep
    ridges = (steep > STEP) & torch.where(across.abs() >= down.abs(), sideways, upright)
    direction = (torch.atan2(down, across) / torch.pi * DIRECTIONS).floor().long() % DIRECTIONS  # light to dark or dark to light alike
    return functional.one_hot(direction, DIRECTIONS).permute(0, 3, 1, 2) * ridges.float()[:, None]


def item_mask(scene: Scene, side: int) -> Mask:
    """Where the item and its shadow change the backdrop, and a rim of a thirtieth of the side around them: (side, side)."""
    empty = rasterised(drawing(scene).split(SHADOW)[0] + "</svg>", side).astype(np.int16)
    changed = np.abs(draw(scene, side) - empty).max(axis=2) > 24
    return np.asarray(widened(torch.from_numpy(changed).float()[None], side // 30)[0].numpy() > 0)


def widened(marks: torch.Tensor, by: int) -> torch.Tensor:
    """Every mark of (N, H, W) grown by `by` pixels to each side."""
    return functional.max_pool2d(marks[:, None], 2 * by + 1, 1, by)[:, 0]


def overlaps(still: torch.Tensor, moving: torch.Tensor) -> torch.Tensor:
    """Σ still(x) · moving(x - shift) for every shift, circular: (H, W) with (N, H, W) → (N, H, W)."""
    return torch.fft.irfft2(torch.fft.rfft2(still) * torch.fft.rfft2(moving).conj(), s=still.shape)


def near(sums: torch.Tensor) -> torch.Tensor:
    """Of the sums for every shift those within REACH."""
    reach = round(sums.shape[-1] * REACH)
    return torch.roll(sums, (reach, reach), (-2, -1))[:, : 2 * reach + 1, : 2 * reach + 1]


def resized(pictures: Pixels, scale: float, *, smooth: bool) -> Pixels:
    """(N, H, W, C) about the middle of the square, borders repeated."""
    values = torch.from_numpy(pictures.copy()).permute(0, 3, 1, 2).float()
    grid = functional.affine_grid(
        torch.tensor([[[1 / scale, 0, 0], [0, 1 / scale, 0]]]).repeat(len(values), 1, 1), values.shape, align_corners=False
    )
    mode = "bicubic" if smooth else "nearest"
    moved = functional.grid_sample(values, grid, mode=mode, padding_mode="border", align_corners=False)
    return np.asarray(moved.round().clamp(0, 255).permute(0, 2, 3, 1).to(torch.uint8).numpy())


class Patterns:
    """Drawings to compare with: of one item in one colour before one background, in several poses and sizes."""

    def __init__(self, drawings: Pixels, masks: Mask) -> None:
        """`drawings` uint8 (K, S, S, 3), `masks` (K, S, S) from `item_mask`. Tolerance: 2 pixels at 256², 1 at 128²."""
        self._tolerance = max(1, round(drawings.shape[1] / 128))
        larger = [resized(drawings, scale, smooth=True) if scale != 1 else drawings for scale in SCALES]
        covers = [resized(masks[..., None].astype(np.uint8), scale, smooth=False)[..., 0] for scale in SCALES]
        self._masks = torch.from_numpy(np.concatenate(covers)).float()
        self._directed = edges(np.concatenate(larger)) * self._masks[:, None]
        self._edges = self._directed.sum(dim=1)

    @classmethod
    def of(cls, scene: Scene, side: int, seeds: range) -> Patterns:
        """The scene in the poses of other seeds."""
        poses = [Scene(scene.item, scene.colour, scene.background, seed) for seed in seeds]
        return cls(np.stack([draw(pose, side) for pose in poses]), np.stack([item_mask(pose, side) for pose in poses]))

    def likeness(self, picture: Pixels) -> float:
        """F-score of the picture's edges around the item, uint8 (S, S, 3), against the pattern and the place that fit best.

        Precision: edges that lie within the tolerance of an equally directed one of the pattern; recall: the reverse.
        """
        found = edges(picture[None])
        number, down, across = self._best(found.sum(dim=1))
        pattern = torch.roll(self._directed[number], (down, across), (-2, -1))
        mask = torch.roll(self._masks[number], (down, across), (-2, -1))
        seen = found[0] * mask
        precision = float((seen * self._around(pattern)).sum() / seen.sum().clamp(min=1))
        recall = float((pattern * self._around(found[0])).sum() / pattern.sum().clamp(min=1))
        return 2 * precision * recall / max(precision + recall, 1e-6)

    def _best(self, found: torch.Tensor) -> tuple[int, int, int]:
        """The pattern that fits edges (1, S, S) best, and by how much it is to be moved down and across; directions are not asked."""
        true = near(overlaps(found[0], widened(self._edges, self._tolerance) * self._masks))
        precision = true / near(overlaps(found[0], self._masks)).clamp(min=1)
        recall = near(overlaps(widened(found, self._tolerance)[0], self._edges)) / self._edges.sum(dim=(1, 2)).clamp(min=1)[:, None, None]
        score = 2 * precision * recall / (precision + recall).clamp(min=1e-6)
        number, down, across = np.unravel_index(int(score.argmax()), score.shape)
        reach = score.shape[-1] // 2
        return int(number), int(down) - reach, int(across) - reach

    def _around(self, directed: torch.Tensor) -> torch.Tensor:
        """Where an edge of each direction finds one of (6, S, S) within the tolerance, 30° to either side counting as its own."""
        wide = widened(directed, self._tolerance)
        return torch.maximum(wide, torch.maximum(wide.roll(1, 0), wide.roll(-1, 0)))
