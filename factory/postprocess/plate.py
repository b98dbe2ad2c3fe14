"""Plate: a label drawn once per picture size, ready to be blended into many pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from factory.domain.draft import Pixels

LABEL_FONT = Path(__file__).parent / "fonts" / "NotoSansCJKsc-Bold-label.otf"
LIGHT, DARK = (255, 255, 255), (18, 18, 20)
SUPERSAMPLE = 4
INKED = 128
MIDDLE_GREY = 128


@dataclass(frozen=True)
class Plate:
    """`keep` (0 … 256) is how much of the picture stays, `add` (0 … 65280) what is laid over it: height × width × 3, uint16.

    `glyph_pixels` is the height of the smallest character, measured on its drawn mask.
    """

    keep: NDArray[np.uint16]
    add: NDArray[np.uint16]
    glyph_pixels: int

    def blend(self, region: Pixels) -> None:
        """Lay the plate over `region`, a view of the picture of the plate's size, in place."""
        mixed = region * self.keep
        mixed += self.add
        mixed >>= 8
        region[:] = mixed


@lru_cache(maxsize=256)
def draw_plate(text: str, glyph_pixels: int, opacity: float, font_path: Path, *, light: bool) -> Plate:
    """Dark ink on a light plate, or light on dark; each letter and ideograph at least `glyph_pixels` high."""
    font, measured = fit_font(text, glyph_pixels, font_path)
    left, top, right, bottom = (round(edge) for edge in font.getbbox(text))
    pad_x, pad_y = max(2, round(measured * 0.5)), max(2, round(measured * 0.36))
    width, height = right - left + 2 * pad_x, bottom - top + 2 * pad_y
    ink_mask = Image.new("L", (width, height))
    ImageDraw.Draw(ink_mask).text((pad_x - left, pad_y - top), text, fill=255, font=font)
    big = Image.new("L", (width * SUPERSAMPLE, height * SUPERSAMPLE))
    ImageDraw.Draw(big).rounded_rectangle((0, 0, big.width - 1, big.height - 1), radius=round(height * SUPERSAMPLE * 0.22), fill=255)
    plate_mask = big.resize((width, height), Image.Resampling.BOX)

    ink_alpha = np.asarray(ink_mask, np.float32)[..., None] / 255
    plate_alpha = np.asarray(plate_mask, np.float32)[..., None] / 255 * opacity * (1 - ink_alpha)
    ink, plate = (DARK, LIGHT) if light else (LIGHT, DARK)
    laid = np.asarray(ink, np.float32) * ink_alpha + np.asarray(plate, np.float32) * plate_alpha
    keep = np.repeat(np.floor(256 * (1 - ink_alpha - plate_alpha) + 0.5), 3, axis=2)
    return Plate(keep.astype(np.uint16), (laid * 256).astype(np.uint16), measured)


def fit_font(text: str, glyph_pixels: int, font_path: Path) -> tuple[ImageFont.FreeTypeFont, int]:
    """The smallest font size whose every letter is high enough. The size itself says little: a capital A has 3/4 of it."""
    size = glyph_pixels
    while True:
        font = ImageFont.truetype(font_path, size)
        measured = min(glyph_height(character, font) for character in text if character.isalnum())
        if measured >= glyph_pixels:
            return font, measured
        size += max(1, (glyph_pixels - measured) // 2)


def glyph_height(character: str, font: ImageFont.FreeTypeFont) -> int:
    """Rows of the drawn mask that are at least half inked."""
    mask = Image.new("L", (math.ceil(font.size * 2), math.ceil(font.size * 2)))
    ImageDraw.Draw(mask).text((font.size / 2, font.size / 4), character, fill=255, font=font)
    rows = np.flatnonzero((np.asarray(mask) >= INKED).any(axis=1))
    return int(rows[-1] - rows[0] + 1) if rows.size else 0


@lru_cache(maxsize=8)
def font_characters(font_path: Path) -> frozenset[str] | None:
    """What the shipped font can draw; None for a font of the customer's, which is not looked into."""
    if font_path != LABEL_FONT:
        return None
    return frozenset((LABEL_FONT.parent / "characters.txt").read_text(encoding="utf-8").replace("\n", ""))


def is_bright(region: Pixels) -> bool:
    """Whether the picture under the plate is nearer to white; a coarse grid of its green channel tells."""
    return bool(region[::4, ::4, 1].mean() >= MIDDLE_GREY)
