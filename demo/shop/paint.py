"""Paint: the gradients that an item's colour is shaded with, as SVG definitions."""

from __future__ import annotations

import random

Rgb = tuple[float, float, float]

BASES: dict[str, Rgb] = {
    "red": (206, 38, 42),
    "orange": (240, 124, 26),
    "yellow": (246, 204, 40),
    "green": (52, 148, 62),
    "teal": (22, 156, 158),
    "blue": (36, 84, 200),
    "purple": (124, 58, 176),
    "pink": (242, 112, 164),
    "white": (240, 240, 242),
    "black": (46, 47, 53),
}
WHITE: Rgb = (255, 255, 255)
SHADE: Rgb = (14, 10, 34)


def mixed(one: Rgb, other: Rgb, share: float) -> Rgb:
    """`share` of `other` in `one`, 0 … 1."""
    return (
        one[0] + (other[0] - one[0]) * share,
        one[1] + (other[1] - one[1]) * share,
        one[2] + (other[2] - one[2]) * share,
    )


def code(colour: Rgb) -> str:
    """SVG's rgb() of a colour with components 0 … 255."""
    return f"rgb({','.join(str(round(min(255, max(0, part)))) for part in colour)})"


def base_colour(name: str, chance: random.Random) -> Rgb:
    """The named colour with a little of the variation that two batches of dye have."""
    red, green, blue = BASES[name]
    return red + chance.uniform(-4, 4), green + chance.uniform(-4, 4), blue + chance.uniform(-4, 4)


def gradient(name: str, stops: list[tuple[float, Rgb]], direction: str = 'x1="0" y1="0" x2="1" y2="0"') -> str:
    """A linear gradient, left to right unless told otherwise."""
    inner = "".join(f'<stop offset="{place}" stop-color="{code(colour)}"/>' for place, colour in stops)
    return f'<linearGradient id="{name}" {direction}>{inner}</linearGradient>'


def definitions(base: Rgb) -> str:
    """Gradients of one colour: `tube` for round bodies, `cloth` top to bottom, `ball` for globes, `deep` and `rim` for parts.

    Black keeps a light side and white a dark one, so that both can be seen before a background of their own colour.
    """
    dark_item = sum(base) < 240
    light = mixed(base, WHITE, 0.34 if dark_item else 0.42)
    soft = mixed(base, WHITE, 0.12)
    dim, deep = mixed(base, SHADE, 0.2), mixed(base, SHADE, 0.42)
    down = 'x1="0" y1="0" x2="0" y2="1"'
    globe = (
        f'<radialGradient id="ball" cx=".36" cy=".3" r=".78"><stop offset="0" stop-color="{code(light)}"/>'
        f'<stop offset=".45" stop-color="{code(base)}"/><stop offset="1" stop-color="{code(deep)}"/></radialGradient>'
    )
    return (
        gradient("tube", [(0, dim), (0.14, base), (0.3, light), (0.46, base), (0.8, dim), (1, deep)])
        + gradient("cloth", [(0, soft), (0.5, base), (1, dim)], down)
        + gradient("lit", [(0, light), (0.6, base), (1, dim)], down)
        + gradient("deep", [(0, deep), (1, dim)], down)
        + gradient("rim", [(0, base), (0.35, light), (1, dim)])
        + globe
        + gradient("metal", [(0, (120, 124, 132)), (0.3, (236, 238, 242)), (0.6, (160, 164, 172)), (1, (96, 100, 108))])
        + gradient("brass", [(0, (150, 108, 40)), (0.35, (250, 222, 140)), (1, (140, 98, 36))])
        + gradient("oak", [(0, (150, 98, 52)), (0.4, (206, 152, 92)), (1, (128, 80, 42))])
        + gradient("rubber", [(0, (70, 72, 80)), (1, (34, 35, 42))], down)
    )


def outline(base: Rgb) -> str:
    """The thin line round every part: darker than the paint, lighter for black."""
    return code(mixed(base, WHITE, 0.22) if sum(base) < 240 else mixed(base, SHADE, 0.5))
