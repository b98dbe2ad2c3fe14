"""thumbnail: a small JPEG of a finished picture, for people who look at a message."""

from __future__ import annotations

import io

from PIL import Image

from factory.errors import BadPicture

SIDE = 256
QUALITY = 82
PAPER = (255, 255, 255)
MOST_PIXELS = 64_000_000


def thumbnail(content: bytes, *, side: int = SIDE) -> bytes:
    """At most `side` pixels wide and high, proportions kept, nothing but pixels in it. Raises BadPicture."""
    try:
        with Image.open(io.BytesIO(content)) as opened:
            if opened.width * opened.height > MOST_PIXELS:
                raise BadPicture(f"{opened.width} × {opened.height} pixels are too many for a thumbnail")
            opened.draft("RGB", (side, side))
            picture = opened.convert("RGBA") if "A" in opened.getbands() or "transparency" in opened.info else opened.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as fault:
        raise BadPicture("the file cannot be read as a picture") from fault
    picture.thumbnail((side, side), Image.Resampling.LANCZOS)
    if picture.mode == "RGBA":
        paper = Image.new("RGB", picture.size, PAPER)
        paper.paste(picture, mask=picture.getchannel("A"))
        picture = paper
    out = io.BytesIO()
    picture.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()
