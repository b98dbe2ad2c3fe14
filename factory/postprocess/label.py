"""Label: the visible mark that the picture was made by AI, as the profile of its destination asks.

| profile | visible |
|---|---|
| `cn` | GB 45438-2025, 5.2: names AI and generation, in a corner, letters at least 5 % of the short side high |
| `eu` | a small "AI" |
| `marketplace-clean` | nothing: marketplaces refuse text on main images; the label in the file's metadata stays |
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from factory.errors import BadPicture
from factory.postprocess.plate import LABEL_FONT, draw_plate, font_characters, is_bright
from factory.postprocess.step import Step

if TYPE_CHECKING:
    from pathlib import Path

    from factory.domain.draft import Draft

Corner = Literal["top-left", "top-right", "bottom-left", "bottom-right"]
CORNERS = ("top-left", "top-right", "bottom-left", "bottom-right")
CN_GLYPH_RATIO = 0.05
EU_GLYPH_RATIO = 0.03
LEAST_GLYPH_PIXELS = {"cn": 9, "eu": 8}
# Under it, white letters on a dark plate over a white spot fall below the contrast of 4.5 that WCAG asks for.
LEAST_OPACITY = 0.6
LONGEST_TEXT = 12


class VisibleLabel(Step):
    """`margin`: fraction of the short side. `opacity`: of the plate, 0.6 … 1; the letters are always opaque.

    Raises ValueError for a text that the law or the font cannot do.
    """

    name = "visible_label"

    def __init__(
        self,
        *,
        text: str = "AI生成",
        eu_text: str = "AI",
        position: Corner = "bottom-right",
        margin: float = 0.02,
        opacity: float = 0.66,
        font: Path = LABEL_FONT,
    ) -> None:
        check_text(text, font)
        check_text(eu_text, font)
        if not any(word in text for word in ("AI", "人工智能")) or not any(word in text for word in ("生成", "合成")):
            raise ValueError(f"label text {text!r} must hold AI or 人工智能, and 生成 or 合成 (GB 45438-2025, 5.2); for example AI生成")
        if position not in CORNERS:
            raise ValueError(f"label position {position!r} is not one of {', '.join(CORNERS)}")
        if not 0 <= margin <= 0.2 or not LEAST_OPACITY <= opacity <= 1:
            raise ValueError(f"label margin {margin} must be 0 … 0.2 and opacity {opacity} {LEAST_OPACITY} … 1")
        self.texts = {"cn": (text, CN_GLYPH_RATIO), "eu": (eu_text, EU_GLYPH_RATIO)}
        self.position, self.margin, self.opacity, self.font = position, margin, opacity, font

    def apply(self, draft: Draft) -> None:
        """Fact `label`: profile, text, measured `glyph_ratio`, `box` (x, y, width, height) and plate, or only the profile."""
        profile = draft.spec.label_profile
        if profile not in self.texts:
            draft.facts["label"] = {"profile": profile, "text": ""}
            return
        text, ratio = self.texts[profile]
        height, width, _ = draft.pixels.shape
        short = min(height, width)
        glyph_pixels = max(math.ceil(ratio * short), LEAST_GLYPH_PIXELS[profile])
        dark = draw_plate(text, glyph_pixels, self.opacity, self.font, light=False)
        plate_height, plate_width, _ = dark.keep.shape
        margin = round(self.margin * short)
        if plate_width + margin > width or plate_height + margin > height:
            raise BadPicture(
                f"label {text!r} needs {plate_width}×{plate_height} pixels, the picture has {width}×{height}; shorten the text"
            )
        x = margin if self.position.endswith("left") else width - plate_width - margin
        y = margin if self.position.startswith("top") else height - plate_height - margin

        # The engine's Picture may be shown elsewhere (previews): it keeps its pixels.
        draft.pixels = np.array(draft.pixels, order="C")
        region = draft.pixels[y : y + plate_height, x : x + plate_width]
        light = is_bright(region)
        plate = draw_plate(text, glyph_pixels, self.opacity, self.font, light=light)
        plate.blend(region)
        draft.facts["label"] = {
            "profile": profile,
            "text": text,
            "glyph_ratio": round(plate.glyph_pixels / short, 4),
            "box": [x, y, plate_width, plate_height],
            "plate": "light" if light else "dark",
        }


def check_text(text: str, font: Path) -> None:
    """Raises ValueError when the text is empty, too long to stay on the picture, or not in the font."""
    if not any(character.isalnum() for character in text) or len(text) > LONGEST_TEXT:
        raise ValueError(f"label text {text!r} must have 1 … {LONGEST_TEXT} characters")
    known = font_characters(font)
    if known is not None and (missing := sorted(set(text) - known)):
        raise ValueError(f"label text {text!r}: the shipped font lacks {''.join(missing)}; give a font file that has them")
