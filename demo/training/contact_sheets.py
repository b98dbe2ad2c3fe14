"""Contact sheets: many pictures in one, ten in a row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from demo.shop.pixels import Pixels


def write_sheet(pictures: Pixels, to: Path, *, columns: int = 10) -> None:
    """uint8 (N, H, W, 3) as one PNG, row by row; what is missing in the last row stays white."""
    count, high, wide, _ = pictures.shape
    rows = -(-count // columns)
    sheet = np.full((rows * columns, high, wide, 3), 255, np.uint8)
    sheet[:count] = pictures
    joined = sheet.reshape(rows, columns, high, wide, 3).swapaxes(1, 2).reshape(rows * high, columns * wide, 3)
    Image.fromarray(joined).save(to)
