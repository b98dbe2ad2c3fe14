"""contact_sheet: many pictures on one sheet, each with its SKU under it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from factory.fonts import SANS_PATH

SIDE, GAP, CAPTION = 192, 16, 28
PAPER, INK, FRAME = (250, 249, 246), (40, 40, 44), (222, 220, 214)


def contact_sheet(pictures: Sequence[tuple[Path, str]], target: Path, *, columns: int = 6) -> Path:
    """Write a PNG of (picture file, caption) pairs in rows of `columns`; pictures keep their proportions. Raises OSError."""
    columns = max(1, min(columns, len(pictures)))
    rows = max(1, math.ceil(len(pictures) / columns))
    sheet = Image.new("RGB", (GAP + columns * (SIDE + GAP), GAP + rows * (SIDE + CAPTION + GAP)), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.truetype(str(SANS_PATH), 15)
    for number, (file, caption) in enumerate(pictures):
        left = GAP + number % columns * (SIDE + GAP)
        top = GAP + number // columns * (SIDE + CAPTION + GAP)
        with Image.open(file) as opened:
            picture = opened.convert("RGB")
        picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        place = (left + (SIDE - picture.width) // 2, top + (SIDE - picture.height) // 2)
        sheet.paste(picture, place)
        draw.rectangle((place[0] - 1, place[1] - 1, place[0] + picture.width, place[1] + picture.height), outline=FRAME)
        draw.text((left + SIDE / 2, top + SIDE + CAPTION / 2 + 2), _fitting(caption, font), fill=INK, font=font, anchor="mm")
    target.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(target)
    return target


def _fitting(caption: str, font: ImageFont.FreeTypeFont) -> str:
    """As much of the caption as fits under a picture."""
    if font.getlength(caption) <= SIDE:
        return caption
    while caption and font.getlength(caption + "…") > SIDE:
        caption = caption[:-1]
    return caption + "…"
