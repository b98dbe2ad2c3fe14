"""fit: a label made as large as wanted, or as its picture allows, and never smaller than the law asks."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from factory.postprocess.plate import LABEL_FONT, Layout, lay_out

if TYPE_CHECKING:
    from factory.postprocess.label_style import LabelStyle
    from factory.postprocess.logo import Logo

SMALLEST_SIDE = 64
WORDS = re.compile(r"人工智能|AI|生成|合成|.")


@dataclass(frozen=True)
class Fit:
    """What is drawn, and where: `box` is x, y, width and height in pixels, inside the picture."""

    text: str
    logo: Logo | None
    glyph_pixels: int
    box: tuple[int, int, int, int]


def fit_label(style: LabelStyle, profile: str, width: int, height: int) -> Fit | None:
    """None when even the least letters in several lines need more than the picture; the margin gives way before."""
    margin = round(style.margin * min(width, height))
    for text, glyph_pixels, logo in candidates(style, profile, width, height):
        plate_width, plate_height = lay_out(text, glyph_pixels, LABEL_FONT, logo).size
        if plate_width <= width and plate_height <= height:
            aside, above = min(margin, width - plate_width), min(margin, height - plate_height)
            x = aside if style.position.endswith("left") else width - plate_width - aside
            y = above if style.position.startswith("top") else height - plate_height - above
            return Fit(text, logo, glyph_pixels, (x, y, plate_width, plate_height))
    return None


def candidates(style: LabelStyle, profile: str, width: int, height: int) -> Iterator[tuple[str, int, Logo | None]]:
    """As wanted; smaller, down to the least letters; then without the logo; then in several lines."""
    wanted, least = style.glyph_pixels(profile, min(width, height))
    yield style.text, wanted, style.logo
    yield style.text, max(least, shrunk(lay_out(style.text, wanted, LABEL_FONT, style.logo), wanted, width, height)), style.logo
    yield style.text, least, style.logo
    for length in range(len(style.text), 0, -1):
        yield broken(style.text, length), least, None


def shrunk(layout: Layout, glyph_pixels: int, width: int, height: int) -> int:
    """The height of letters at which a plate laid out for `glyph_pixels` about fills the picture."""
    return math.floor(glyph_pixels * min(1, 0.96 * width / layout.size[0], 0.96 * height / layout.size[1]))


def broken(text: str, length: int) -> str:
    """`text` in lines of about `length` characters; a word that the law asks for is never torn."""
    rows = [""]
    for word in WORDS.findall(text):
        if rows[-1] and len(rows[-1] + word) > length:
            rows.append("")
        rows[-1] += word
    return "\n".join(row.strip() for row in rows)
