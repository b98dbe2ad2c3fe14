"""The ten backgrounds, as SVG behind everything; the ground lies where the item stands."""

from __future__ import annotations

import random

from demo.shop.paint import Rgb, gradient

DOWN = 'x1="0" y1="0" x2="0" y2="1"'


def _room(wall: tuple[Rgb, Rgb], floor: tuple[Rgb, Rgb], horizon: float, between: str = "") -> str:
    """A wall over a floor, both shaded top to bottom, and what stands `between` them."""
    return (
        f"<defs>{gradient('wall', [(0, wall[0]), (1, wall[1])], DOWN)}{gradient('floor', [(0, floor[0]), (1, floor[1])], DOWN)}</defs>"
        f'<rect x="-8" y="-8" width="272" height="272" fill="url(#wall)"/>{between}'
        f'<rect x="-8" y="{horizon}" width="272" height="140" fill="url(#floor)"/>'
    )


def _white(horizon: float) -> str:
    return _room(((252, 252, 252), (246, 246, 247)), ((240, 240, 242), (252, 252, 252)), horizon)


def _grey(horizon: float) -> str:
    return _room(((150, 154, 162), (202, 205, 210)), ((166, 169, 176), (136, 139, 147)), horizon)


def _wood(horizon: float) -> str:
    boards = "".join(
        f'<path d="M-8 {horizon + drop} L264 {horizon + drop}" stroke="#7c4d26" stroke-width="{width}"/>'
        for drop, width in ((0, 3), (22, 1.6), (50, 2))
    )
    grain = "".join(
        f'<path d="M{x} {horizon + y} q40 {bend} 84 0" stroke="#96622f" stroke-width="1.4" fill="none"/>'
        for x, y, bend in ((4, 11, 5), (150, 13, -5), (60, 36, 6), (186, 36, 4), (-20, 66, 6), (110, 68, -6))
    )
    return _room(((236, 222, 200), (224, 204, 176)), ((196, 138, 82), (166, 108, 58)), horizon) + boards + grain


def _beach(horizon: float) -> str:
    sea = horizon - 34
    return (
        _room(((112, 186, 238), (214, 238, 250)), ((240, 218, 168), (222, 192, 136)), horizon)
        + f'<circle cx="214" cy="44" r="20" fill="#fff6cf"/><rect x="-8" y="{sea}" width="272" height="34" fill="#2b9fc0"/>'
        f'<path d="M-8 {sea + 14} L264 {sea + 14}" stroke="#7fd0e0" stroke-width="3"/>'
        f'<path d="M-8 {horizon} q34 -7 68 0 t68 0 t68 0 t76 0" stroke="white" stroke-width="5" fill="none"/>'
    )


def _grass(horizon: float) -> str:
    hills = (
        f'<path d="M-8 {horizon + 1} C40 {horizon - 34} 90 {horizon - 30} 130 {horizon - 10} S220 {horizon - 40} 264 {horizon - 16} '
        'V260 H-8 Z" fill="#5fa657"/>'
    )
    blades = "".join(
        f'<path d="M{x} {y} l-4 -11 M{x + 3} {y} l0 -14 M{x + 6} {y} l5 -10" stroke="#2f7a26" stroke-width="2.4" stroke-linecap="round"/>'
        for x, y in ((14, 204), (38, 240), (84, 246), (150, 242), (206, 246), (236, 212), (240, 248), (10, 248))
    )
    return _room(((146, 204, 244), (226, 243, 250)), ((122, 190, 74), (70, 142, 46)), horizon, hills) + blades


def _night(horizon: float) -> str:
    lights = "".join(
        f'<circle cx="{x}" cy="{y}" r="{r}" fill="{colour}" fill-opacity=".75"/>'
        for x, y, r, colour in (
            (24, 40, 13, "#f7c65a"),
            (66, 22, 9, "#ef7a5a"),
            (46, 92, 11, "#6fb6ff"),
            (18, 136, 9, "#f7c65a"),
            (212, 34, 12, "#6fb6ff"),
            (238, 82, 13, "#f29bd0"),
            (206, 118, 8, "#f7c65a"),
            (240, 144, 9, "#ef7a5a"),
            (182, 16, 7, "#f7e7a0"),
            (96, 50, 6, "#f29bd0"),
        )
    )
    glow = (
        '<defs><radialGradient id="glow" cx=".5" cy=".5" r=".5"><stop offset="0" stop-color="#8fa4e8" stop-opacity=".75"/>'
        '<stop offset="1" stop-color="#8fa4e8" stop-opacity="0"/></radialGradient></defs>'
        '<ellipse cx="128" cy="140" rx="120" ry="112" fill="url(#glow)"/>'
    )
    return _room(((18, 20, 58), (44, 42, 98)), ((70, 66, 120), (34, 32, 72)), horizon) + lights + glow


def _pink(horizon: float) -> str:
    return _room(((252, 214, 224), (250, 200, 214)), ((246, 184, 202), (250, 206, 218)), horizon)


def _blue(horizon: float) -> str:
    return _room(((184, 216, 246), (164, 202, 240)), ((140, 184, 230), (176, 210, 244)), horizon)


def _marble(horizon: float) -> str:
    veins = "".join(
        f'<path d="{path}" stroke="{colour}" stroke-width="{width}" fill="none" stroke-linecap="round"/>'
        for path, colour, width in (
            ("M-8 40 C40 20 60 80 110 60 S190 10 264 44", "#b6bac0", 4),
            ("M-8 120 C30 100 50 140 84 122", "#c3c6cb", 3),
            ("M180 140 C206 110 226 130 264 96", "#b6bac0", 3.5),
            ("M70 -8 C80 20 64 40 78 68", "#cdd0d4", 2.5),
            (
                f"M-8 {horizon + 44} C60 {horizon + 20} 90 {horizon + 60} 150 {horizon + 40} S230 {horizon + 20} 264 {horizon + 50}",
                "#a9adb4",
                3.5,
            ),
        )
    )
    edge = f'<path d="M-8 {horizon} L264 {horizon}" stroke="#c9a24e" stroke-width="3.5"/>'
    return _room(((240, 240, 239), (232, 232, 232)), ((226, 227, 229), (212, 213, 216)), horizon) + veins + edge


def _brick(horizon: float) -> str:
    courses = [horizon - 22 * course for course in range(1, 9)]
    mortar = "".join(f'<path d="M-8 {y} L264 {y}" stroke="#d9c3b2" stroke-width="3"/>' for y in courses)
    joints = "".join(
        f'<path d="M{x} {y} V{y + 22}" stroke="#d9c3b2" stroke-width="3"/>'
        for course, y in enumerate(courses)
        for x in range(20 + course % 2 * 24, 264, 48)
    )
    return _room(((172, 86, 62), (152, 72, 52)), ((168, 162, 156), (132, 127, 122)), horizon) + mortar + joints


DRAWINGS = {
    "white": _white,
    "grey": _grey,
    "wood": _wood,
    "beach": _beach,
    "grass": _grass,
    "night": _night,
    "pink": _pink,
    "blue": _blue,
    "marble": _marble,
    "brick": _brick,
}


def backdrop(name: str, chance: random.Random) -> str:
    """The named background; where its horizon lies and how light it is varies a little."""
    horizon = 178 + chance.uniform(-2.5, 2.5)
    tone = chance.uniform(-0.06, 0.06)
    veil = f'<rect x="-8" y="-8" width="272" height="272" fill="{"white" if tone > 0 else "black"}" fill-opacity="{abs(tone):.3f}"/>'
    return DRAWINGS[name](horizon) + veil
