"""Glyphs of a card: the shipped font where it has the character, a neat tile where it has not. No font of the machine: cards are alike."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont

from factory.fonts import SANS_PATH


@dataclass(frozen=True)
class Glyph:
    """`mask` (8-bit coverage) is pasted `left`, `top` pixels from the pen, which then moves by `advance`."""

    mask: Image.Image
    left: int
    top: int
    advance: int


@lru_cache(maxsize=8192)
def glyph(character: str, size: int) -> Glyph:
    """The glyph of one character, `size` pixels to the em."""
    font = _font(size)
    if character.isspace():
        return Glyph(Image.new("L", (1, 1)), 0, 0, round(size * 0.3))
    left, top, right, bottom = (round(edge) for edge in font.getbbox(character))
    if right <= left or bottom <= top or _is_missing(character, size):
        return _tile(character, size)
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), character, fill=255, font=font)
    return Glyph(mask, left, top, round(font.getlength(character)))


@lru_cache(maxsize=16)
def _font(size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(str(SANS_PATH), size)


def _is_missing(character: str, size: int) -> bool:
    """A font draws the same box for every character that it lacks; U+FFFF is no character, so it has that box."""
    return bytes(_font(size).getmask(character)) == bytes(_font(size).getmask("\uffff"))


def _tile(character: str, size: int) -> Glyph:
    """A rounded square with nine dots from the code point: equal characters look equal, others differ."""
    wide = unicodedata.east_asian_width(character) in "WF"
    side = round(size * (0.86 if wide else 0.6))
    mask = Image.new("L", (side, side))
    draw = ImageDraw.Draw(mask)
    draw.rounded_rectangle((0, 0, side - 1, side - 1), radius=side // 5, outline=200, width=max(1, side // 16))
    bits, cell = (ord(character) * 2654435761) >> 7, side / 5
    for place in range(9):
        if bits >> place & 1:
            x, y = cell * (1 + place % 3), cell * (1 + place // 3)
            draw.rectangle((x + cell * 0.12, y + cell * 0.12, x + cell * 0.88, y + cell * 0.88), fill=255)
    return Glyph(mask, round(size * 0.05), round(size * (1.22 if wide else 1.16)) - side, side + round(size * 0.1))
