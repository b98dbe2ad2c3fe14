"""LabelStyle: how a visible label looks. What the law of its destination asks is a floor that no style goes under."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from factory.postprocess.logo import Logo
from factory.postprocess.plate import LABEL_FONT, font_characters

Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]
CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right")
# GB 45438-2025, 5.2 for cn.
LEAST_SCALE = {"cn": 0.05, "eu": 0.03}
LEAST_GLYPH_PIXELS = {"cn": 9, "eu": 8}
# Under it, white letters on a dark plate over a white spot fall below the contrast of 4.5 that WCAG asks for.
LEAST_OPACITY = 0.6
LONGEST_TEXT = 12
RANGES = {"margin": (0.0, 0.2), "opacity": (LEAST_OPACITY, 1.0), "scale": (0.03, 0.15), "tile": (0.0, 0.4)}


@dataclass(frozen=True)
class LabelStyle:
    """`margin` and `scale` (height of the lowest letter) are shares of the short side. `opacity` is that of the plate; letters are opaque.

    `logo` stands before the text. `tile` is the opacity of the logo, or else the text, repeated over the picture; 0: not repeated.
    Raises ValueError that names field, value and remedy.
    """

    text: str = "AI生成"
    position: Corner = "bottom-right"
    margin: float = 0.02
    opacity: float = 0.66
    scale: float = 0.05
    tile: float = 0.0
    logo: Logo | None = None

    def __post_init__(self) -> None:
        check_text(self.text)
        if self.position not in CORNERS:
            raise ValueError(f"label position {self.position!r} is not known; give one of {', '.join(CORNERS)}")
        for name, (least, most) in RANGES.items():
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
                raise ValueError(f"label {name} {value!r} is out of range; give a number from {least:g} to {most:g}")
        if self.logo is not None and not isinstance(self.logo, Logo):
            raise ValueError(f"label logo {self.logo!r} is not a logo; give the name of a PNG file")

    def check_lawful(self, profile: str) -> None:
        """Raises ValueError when the style shows less than `profile` asks."""
        least = LEAST_SCALE[profile]
        if self.scale < least:
            raise ValueError(f"label scale {self.scale:g} is below the {least:g} of profile {profile}; give {least:g} or more")
        if profile != "cn":
            return
        if not any(word in self.text for word in ("AI", "人工智能")) or not any(word in self.text for word in ("生成", "合成")):
            raise ValueError(
                f"label text {self.text!r} must hold AI or 人工智能, and 生成 or 合成 (GB 45438-2025, 5.2); for example AI生成"
            )

    def glyph_pixels(self, profile: str, short: int) -> tuple[int, int]:
        """(wanted, least) height of the lowest letter on a picture whose short side has `short` pixels."""
        floor = LEAST_GLYPH_PIXELS[profile]
        return max(math.ceil(self.scale * short), floor), max(math.ceil(LEAST_SCALE[profile] * short), floor)

    def as_json(self) -> dict[str, Any]:
        """For the record: the logo is named by its SHA-256."""
        plain = {name: getattr(self, name) for name in ("text", "position", *RANGES)}
        return plain | {"logo": self.logo.sha256 if self.logo else ""}


def check_text(text: str) -> None:
    """Raises ValueError when the text is empty, too long to stay on the picture, or not in the font."""
    if not isinstance(text, str) or not any(character.isalnum() for character in text) or len(text) > LONGEST_TEXT:
        raise ValueError(
            f"label text {text!r} must be 1 … {LONGEST_TEXT} characters with a letter among them; shorten it or put it in quotes"
        )
    if missing := sorted(set(text) - font_characters(LABEL_FONT)):
        raise ValueError(f"label text {text!r}: the font lacks {''.join(missing)}; use other characters")
