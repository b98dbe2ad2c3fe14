"""Plate: a label drawn once per picture size, ready to be blended into many pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from factory.postprocess.logo import Logo, scale_logo

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

    def cut(self, left: int, width: int, height: int) -> Plate:
        """The part that begins `left` pixels from its left edge; a view."""
        part = np.s_[:height, left : left + width]
        return Plate(self.keep[part], self.add[part], self.glyph_pixels)


@dataclass(frozen=True)
class Layout:
    """Where a plate's parts stand, in pixels. The logo is as high as the text and stands before it."""

    font: ImageFont.FreeTypeFont
    glyph_pixels: int
    text_box: tuple[int, int, int, int]
    logo_width: int

    @property
    def pad(self) -> tuple[int, int]:
        return max(2, round(self.glyph_pixels * 0.5)), max(2, round(self.glyph_pixels * 0.36))

    @property
    def text_height(self) -> int:
        return self.text_box[3] - self.text_box[1]

    @property
    def text_left(self) -> int:
        """Where the text begins."""
        return self.pad[0] + (self.logo_width + self.pad[0] if self.logo_width else 0)

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) of the whole plate."""
        return self.text_left + self.text_box[2] - self.text_box[0] + self.pad[0], self.text_height + 2 * self.pad[1]


@lru_cache(maxsize=1024)
def lay_out(text: str, glyph_pixels: int, font_path: Path, logo: Logo | None = None) -> Layout:
    """`text` may have several lines."""
    font, measured = fit_font(text, glyph_pixels, font_path)
    left, top, right, bottom = (round(edge) for edge in ImageDraw.Draw(Image.new("L", (1, 1))).textbbox((0, 0), text, font=font))
    return Layout(font, measured, (left, top, right, bottom), logo.width(bottom - top) if logo else 0)


@lru_cache(maxsize=64)
def draw_plate(text: str, glyph_pixels: int, opacity: float, font_path: Path, *, light: bool, logo: Logo | None = None) -> Plate:
    """Dark ink on a light plate, or light on dark; each letter and ideograph at least `glyph_pixels` high."""
    layout = lay_out(text, glyph_pixels, font_path, logo)
    (width, height), (pad_x, pad_y) = layout.size, layout.pad
    ink_mask = Image.new("L", (width, height))
    ImageDraw.Draw(ink_mask).text(
        (layout.text_left - layout.text_box[0], pad_y - layout.text_box[1]), text, fill=255, font=layout.font, align="center"
    )
    big = Image.new("L", (width * SUPERSAMPLE, height * SUPERSAMPLE))
    ImageDraw.Draw(big).rounded_rectangle((0, 0, big.width - 1, big.height - 1), radius=round(height * SUPERSAMPLE * 0.22), fill=255)
    plate_mask = big.resize((width, height), Image.Resampling.BOX)

    ink, plate = (DARK, LIGHT) if light else (LIGHT, DARK)
    front_alpha = np.asarray(ink_mask, np.float32)[..., None] / 255
    front = np.asarray(ink, np.float32) * front_alpha
    if logo:
        picture = scale_logo(logo, layout.text_height).astype(np.float32)
        spot = np.s_[pad_y : pad_y + layout.text_height, pad_x : pad_x + layout.logo_width]
        front_alpha[spot] = picture[..., 3:] / 255
        front[spot] = picture[..., :3] * front_alpha[spot]
    plate_alpha = np.asarray(plate_mask, np.float32)[..., None] / 255 * opacity * (1 - front_alpha)
    return make_plate(front + np.asarray(plate, np.float32) * plate_alpha, front_alpha + plate_alpha, layout.glyph_pixels)


def make_plate(laid: NDArray[np.floating[Any]], alpha: NDArray[np.floating[Any]], glyph_pixels: int) -> Plate:
    """`laid`: colours times their alpha, height × width × 3, 0 … 255; `alpha`: height × width × 1, 0 … 1."""
    keep = np.repeat(np.floor(256 * (1 - alpha) + 0.5), 3, axis=2)
    return Plate(keep.astype(np.uint16), (laid * 256).astype(np.uint16), glyph_pixels)


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
def font_characters(font_path: Path) -> frozenset[str]:
    """What the shipped font can draw, from the list beside it."""
    return frozenset((font_path.parent / "characters.txt").read_text(encoding="utf-8").replace("\n", ""))


def is_bright(region: Pixels) -> bool:
    """Whether the picture under the plate is nearer to white; a coarse grid of its green channel tells."""
    return bool(region[::4, ::4, 1].mean() >= MIDDLE_GREY)
