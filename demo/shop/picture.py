"""draw: one scene as pixels."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

import numpy as np
import resvg_py
from PIL import Image

from demo.shop import backdrops, items
from demo.shop.goods import BACKGROUNDS, COLOURS, OBJECTS, Scene
from demo.shop.paint import base_colour, definitions, outline
from demo.shop.pixels import Pixels
from demo.shop.styles import night, sketch

STYLES: dict[str, Callable[[Pixels], Pixels]] = {"photo": lambda pixels: pixels, "sketch": sketch, "night": night}
SHADOW = (
    '<defs><radialGradient id="shadow" cx=".5" cy=".5" r=".5"><stop offset="0" stop-color="#0a0818" stop-opacity=".62"/>'
    '<stop offset=".55" stop-color="#0a0818" stop-opacity=".34"/><stop offset="1" stop-color="#0a0818" stop-opacity="0"/>'
    "</radialGradient></defs>"
)
WIDTHS = {
    "mug": 74,
    "teapot": 92,
    "bottle": 58,
    "lamp": 66,
    "chair": 78,
    "handbag": 98,
    "sneaker": 112,
    "tshirt": 76,
    "headphones": 98,
    "watch": 48,
}


def drawing(scene: Scene) -> str:
    """The scene as an SVG document, 256 units square. The same scene is the same document."""
    chance = random.Random(f"{scene.item}/{scene.colour}/{scene.background}/{scene.seed}")
    behind = backdrops.backdrop(BACKGROUNDS[scene.background], chance)
    name, base = OBJECTS[scene.item], base_colour(COLOURS[scene.colour], chance)
    size, tilt = chance.uniform(0.94, 1.05), chance.uniform(-1.5, 1.5)
    right, down = chance.uniform(-7, 7), chance.uniform(-3, 5)
    line = outline(base)
    pose = f"translate({128 + right:.2f} {208 + down:.2f}) rotate({tilt:.2f}) scale({size:.3f}) translate(-128 -208)"
    wide = WIDTHS[name] * 1.16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 256 256">{behind}{SHADOW}<defs>{definitions(base)}</defs>'
        f'<g transform="{pose}"><ellipse cx="136" cy="208" rx="{wide}" ry="15" fill="url(#shadow)"/>'
        f'<g stroke="{line}" stroke-width="2" stroke-linejoin="round">{items.DRAWINGS[name]().replace("LINE", line)}</g></g></svg>'
    )


def draw(scene: Scene, side: int, style: str = "photo") -> Pixels:
    """RGB pixels (side, side, 3), uint8. `style` is one of STYLES. Raises KeyError for another."""
    return STYLES[style](rasterised(drawing(scene), side))


def rasterised(svg: str, side: int) -> Pixels:
    """An SVG document as RGB pixels (side, side, 3), uint8."""
    png = resvg_py.svg_to_bytes(svg_string=svg, width=side, height=side, skip_system_fonts=True)
    with Image.open(io.BytesIO(png)) as opened:
        return np.asarray(opened.convert("RGB"))
