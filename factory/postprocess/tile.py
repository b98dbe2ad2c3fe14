"""Tile: a faint logo or text, slanted and repeated over the picture, beside the label and never instead of it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw

from factory.postprocess.logo import Logo, scale_logo
from factory.postprocess.plate import DARK, LABEL_FONT, LIGHT, Plate, is_bright, lay_out, make_plate

if TYPE_CHECKING:
    from factory.domain.draft import Pixels
    from factory.postprocess.label_style import LabelStyle

SLANT = 30
GAP = 1.4
LOGO_HEIGHT = 2


def lay_tiles(pixels: Pixels, style: LabelStyle, glyph_pixels: int) -> None:
    """Draw into `pixels`, in place; each text is light on a dark spot and dark on a bright one, a logo keeps its colours."""
    light, dark = (draw_tile(style.logo or style.text, glyph_pixels, style.tile, light=light) for light in (True, False))
    tile_height, tile_width, _ = light.keep.shape
    height, width, _ = pixels.shape
    step_x, step_y = tile_width + round(GAP * glyph_pixels * 2), tile_height + round(GAP * glyph_pixels)
    for row, top in enumerate(range(0, height, step_y)):
        for left in range(-(row % 2) * (step_x // 2), width, step_x):
            skipped = max(0, -left)
            region = pixels[top : top + tile_height, left + skipped : max(0, left + tile_width)]
            if region.size:
                (dark if is_bright(region) else light).cut(skipped, region.shape[1], region.shape[0]).blend(region)


@lru_cache(maxsize=32)
def draw_tile(mark: Logo | str, glyph_pixels: int, opacity: float, *, light: bool) -> Plate:
    """One mark without a plate, turned by SLANT degrees."""
    if isinstance(mark, Logo):
        flat = Image.fromarray(scale_logo(mark, LOGO_HEIGHT * glyph_pixels))
    else:
        layout = lay_out(mark, glyph_pixels, LABEL_FONT)
        left, top, right, bottom = layout.text_box
        flat = Image.new("RGBA", (right - left, bottom - top), (*(LIGHT if light else DARK), 0))
        mask = Image.new("L", flat.size)
        ImageDraw.Draw(mask).text((-left, -top), mark, fill=255, font=layout.font)
        flat.putalpha(mask)
    turned = np.asarray(flat.rotate(SLANT, Image.Resampling.BICUBIC, expand=True), np.float32)
    alpha = turned[..., 3:] / 255 * opacity
    return make_plate(turned[..., :3] * alpha, alpha, glyph_pixels)
