"""check_picture: what an engine handed over must be a picture, or it never becomes an asset."""

from __future__ import annotations

import numpy as np

from factory.domain.draft import Picture, Pixels
from factory.domain.generation_spec import GenerationSpec
from factory.errors import BadPicture

FLAT = 2
EVERY = 16


def check_picture(picture: Picture, spec: GenerationSpec) -> None:
    """Raise BadPicture for another count of evaluations, another shape or type, or one flat colour."""
    if picture.evaluations != spec.num_inference_steps:
        raise BadPicture(f"{picture.evaluations} evaluations ran, {spec.num_inference_steps} were ordered", evaluations=picture.evaluations)
    pixels, wanted = picture.pixels, (spec.height, spec.width, 3)
    if pixels.shape != wanted or pixels.dtype != np.uint8 or not pixels.flags.c_contiguous:
        raise BadPicture(f"pixels are {pixels.shape} {pixels.dtype}, not contiguous {wanted} uint8")
    # A sample that is not flat proves that the whole is not, at a hundredth of the cost.
    if _range(pixels[::EVERY, ::EVERY]) <= FLAT and _range(pixels) <= FLAT:
        raise BadPicture(f"the picture is one flat colour (no channel varies by more than {FLAT})")


def _range(pixels: Pixels) -> int:
    """The largest max - min of any channel."""
    return int(np.ptp(pixels.reshape(-1, 3).astype(np.int16), axis=0).max())
