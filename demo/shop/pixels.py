"""Pixels: pictures as the shop, the judge and the training hand them on."""

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
"""RGB, uint8: one picture (side, side, 3) or a stack (N, side, side, 3)."""
