"""Two ways to see a drawn scene: as a pencil sketch, and by moonlight."""

from __future__ import annotations

import numpy as np

from demo.shop.pixels import Pixels

PAPER = np.array((247, 241, 226), np.float32)
PENCIL = np.array((58, 54, 60), np.float32)
MOONLIGHT = np.array((0.34, 0.44, 0.78), np.float32)
LAMPLIGHT = np.array((74, 46, 10), np.float32)


def sketch(pixels: Pixels) -> Pixels:
    """Pencil lines where colours change, a pale wash between them, on cream paper. (side, side, 3) in and out."""
    colour = pixels.astype(np.float32)
    across, down = np.gradient(colour, axis=(1, 0))
    steep = np.sqrt((across**2 + down**2).sum(axis=2)) * (pixels.shape[0] / 256) ** 0.5
    pencil = np.clip((steep - 6) / 46, 0, 1)[..., None]
    wash = PAPER + (colour - 236) * 0.34
    return np.asarray(np.clip(wash * (1 - pencil) + PENCIL * pencil, 0, 255), np.uint8)


def night(pixels: Pixels) -> Pixels:
    """Moonlight over all, a warm lamp on the item, dark corners. (side, side, 3) in and out."""
    side = pixels.shape[0]
    place = (np.arange(side, dtype=np.float32) + 0.5) / side
    far = np.hypot(place[None, :] - 0.5, place[:, None] - 0.56)[..., None]
    warm = np.exp(-((far / 0.34) ** 2))
    colour = pixels.astype(np.float32) / 255
    lit = colour * (MOONLIGHT * (1.12 - far) * 255 + warm * (150, 118, 60)) + warm * LAMPLIGHT * 0.25
    return np.asarray(np.clip(lit, 0, 255), np.uint8)
