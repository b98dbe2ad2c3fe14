"""Label: the visible mark that the picture was made by AI, as the profile of its destination asks.

| profile | visible |
|---|---|
| `cn` | GB 45438-2025, 5.2: names AI and generation, in a corner, letters at least 5 % of the short side high |
| `eu` | a small "AI" |
| `marketplace-clean` | nothing: marketplaces refuse text on main images; the label in the file's metadata stays |
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from factory.errors import BadPicture
from factory.postprocess.label_book import LabelBook
from factory.postprocess.label_fit import fit_label
from factory.postprocess.plate import LABEL_FONT, draw_plate, is_bright
from factory.postprocess.step import Step
from factory.postprocess.tile import lay_tiles

if TYPE_CHECKING:
    from factory.domain.draft import Draft


class VisibleLabel(Step):
    """Draws what `book` says for the draft's tenant and profile.

    The look is not part of the order: it is the worker's book at the moment of drawing, and the record holds the style and the book's
    SHA-256. The order holds the profile, which decides the legal floor.
    """

    name = "visible_label"

    def __init__(self, book: LabelBook | None = None) -> None:
        self.book = book or LabelBook()

    def apply(self, draft: Draft) -> None:
        """Fact `label`: profile, text, measured `glyph_ratio`, `box` (x, y, width, height), plate, logo drawn or not, style and book.

        Only profile and an empty text for a profile without a label. Raises BadPicture for a picture too small for its label.
        """
        profile = draft.spec.label_profile
        style = self.book.style(draft.tenant, profile)
        if style is None:
            draft.facts["label"] = {"profile": profile, "text": ""}
            return
        height, width, _ = draft.pixels.shape
        fit = fit_label(style, profile, width, height)
        if fit is None:
            raise BadPicture(f"label {style.text!r} does not fit on a picture of {width}×{height} pixels; shorten the text")
        # The engine's Picture may be shown elsewhere (previews): it keeps its pixels.
        draft.pixels = np.array(draft.pixels, order="C")
        if style.tile:
            lay_tiles(draft.pixels, style, fit.glyph_pixels)
        x, y, plate_width, plate_height = fit.box
        region = draft.pixels[y : y + plate_height, x : x + plate_width]
        light = is_bright(region)
        plate = draw_plate(fit.text, fit.glyph_pixels, style.opacity, LABEL_FONT, light=light, logo=fit.logo)
        plate.blend(region)
        draft.facts["label"] = {
            "profile": profile,
            "text": style.text,
            "glyph_ratio": round(plate.glyph_pixels / min(height, width), 4),
            "box": list(fit.box),
            "plate": "light" if light else "dark",
            "logo": fit.logo is not None,
            "style": style.as_json(),
            "book": self.book.sha256,
        }
