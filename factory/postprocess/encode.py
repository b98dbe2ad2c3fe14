"""Encode: pixels become a PNG with little CPU: one filter by numpy, DEFLATE by ISA-L.

Filter "Up" with ISA-L level 1 costs about 1/25 of the usual encoder's CPU for about 13 % more bytes. Both release the GIL,
so the thread that launches GPU kernels is not held up.
"""

from __future__ import annotations

import struct

import numpy as np
from isal import isal_zlib

from factory.domain.draft import Draft, Pixels
from factory.errors import BadPicture
from factory.postprocess.png import SIGNATURE, write_chunk
from factory.postprocess.step import Phase, Step

UP_FILTER = 2
PERCEPTUAL = b"\0"


def encode_png(pixels: Pixels, *, level: int = 1) -> bytes:
    """`pixels`: height × width × 3, uint8, RGB (sRGB). `level`: 0 … 3, ISA-L's. Raises BadPicture for any other array."""
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise BadPicture(f"pixels are {pixels.dtype} {pixels.shape}; a PNG needs uint8 (height, width, 3), none of them 0")
    height, width, _ = pixels.shape
    rows = np.ascontiguousarray(pixels).reshape(height, width * 3)
    filtered = np.empty((height, width * 3 + 1), np.uint8)
    filtered[:, 0] = UP_FILTER
    filtered[0, 1:] = rows[0]
    np.subtract(rows[1:], rows[:-1], out=filtered[1:, 1:])
    return b"".join(
        (
            SIGNATURE,
            write_chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            write_chunk(b"sRGB", PERCEPTUAL),
            write_chunk(b"IDAT", isal_zlib.compress(filtered.data, level)),
            write_chunk(b"IEND", b""),
        )
    )


class Encode(Step):
    """Sets `draft.content`. Fact `encoder`: how the file was made."""

    name = "encode_png"
    phase = Phase.ENCODE

    def __init__(self, *, level: int = 1) -> None:
        if level not in range(4):
            raise ValueError(f"level {level} is not one of ISA-L's 0, 1, 2, 3")
        self.level = level

    def apply(self, draft: Draft) -> None:
        draft.content = encode_png(draft.pixels, level=self.level)
        draft.media_type = "image/png"
        draft.facts["encoder"] = f"png up isal-{self.level}"
