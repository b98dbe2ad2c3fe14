"""Logo: a tenant's mark, a PNG with alpha, scaled once per height."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Self

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

MOST_BYTES = 1024 * 1024
LONGEST_SIDE = 2048
WIDEST = 4


@dataclass(frozen=True)
class Logo:
    """Two logos of one `sha256` are the same; `aspect` is width by height."""

    sha256: str
    aspect: float
    png: bytes = field(repr=False, compare=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Raises ValueError for what is missing, too large, no PNG or damaged."""
        try:
            with path.open("rb") as file:
                png = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise ValueError(f"logo {path.name!r} cannot be read: {error.strerror}; put the file beside the label file") from error
        if len(png) > MOST_BYTES:
            raise ValueError(f"logo {path.name!r} has over {MOST_BYTES} bytes; make it smaller")
        try:
            with Image.open(io.BytesIO(png), formats=["PNG"]) as picture:
                width, height = picture.size
                if max(width, height) <= LONGEST_SIDE:
                    picture.load()
        except (OSError, SyntaxError, ValueError, struct.error, zlib.error, Image.DecompressionBombError) as error:
            raise ValueError(f"logo {path.name!r} is not a whole PNG; save it again as PNG with transparency") from error
        if max(width, height) > LONGEST_SIDE:
            raise ValueError(f"logo {path.name!r} is {width}×{height} pixels; make it at most {LONGEST_SIDE} a side")
        if not 1 / WIDEST <= width / height <= WIDEST:
            raise ValueError(f"logo {path.name!r} is {width}×{height} pixels; make its long side at most {WIDEST} times the short one")
        return cls(hashlib.sha256(png).hexdigest(), width / height, png)

    def width(self, height: int) -> int:
        """Pixels of its width when it is `height` high."""
        return max(1, round(height * self.aspect))


@lru_cache(maxsize=64)
def scale_logo(logo: Logo, height: int) -> NDArray[np.uint8]:
    """height × width × 4, uint8, RGBA. Callers do not write into it."""
    with Image.open(io.BytesIO(logo.png), formats=["PNG"]) as picture:
        scaled = picture.convert("RGBA").resize((logo.width(height), height), Image.Resampling.LANCZOS)
    return np.asarray(scaled)
