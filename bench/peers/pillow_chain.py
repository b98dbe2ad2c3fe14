"""The usual way to finish a picture: draw the label with Pillow, save a PNG, open it again to add metadata, save, hash."""

import hashlib
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo


def finish(pixels: NDArray[np.uint8], *, text: str, box: tuple[int, int, int, int], font_path: Path, xmp: str) -> tuple[bytes, str]:
    """`box`: x, y, width, height of the label's plate. Returns the file and its SHA-256."""
    x, y, width, height = box
    picture = Image.fromarray(pixels).convert("RGBA")
    overlay = Image.new("RGBA", picture.size)
    draw = ImageDraw.Draw(overlay)
    draw.rounded_rectangle((x, y, x + width - 1, y + height - 1), radius=height // 5, fill=(18, 18, 20, 168))
    font = ImageFont.truetype(font_path, round(height * 0.62))
    draw.text((x + width // 2, y + height // 2), text, fill=(255, 255, 255, 255), font=font, anchor="mm")
    finished = Image.alpha_composite(picture, overlay).convert("RGB")
    first = io.BytesIO()
    finished.save(first, "PNG")

    first.seek(0)
    again = Image.open(first)
    info = PngInfo()
    info.add_itxt("XML:com.adobe.xmp", xmp)
    second = io.BytesIO()
    again.save(second, "PNG", pnginfo=info)
    content = second.getvalue()
    return content, hashlib.sha256(content).hexdigest()
