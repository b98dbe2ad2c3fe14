"""What is no picture."""

from __future__ import annotations

import numpy as np
import pytest

from factory.domain.draft import Picture
from factory.errors import BadPicture
from factory.workers.check_picture import check_picture
from tests.orders import order


def noise(height: int = 64, width: int = 64) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_a_picture_passes():
    check_picture(Picture(noise(), 8), order())


@pytest.mark.parametrize("evaluations", [0, 7, 9, 16])
def test_another_count_of_evaluations(evaluations):
    with pytest.raises(BadPicture, match=f"{evaluations} evaluations ran, 8 were ordered"):
        check_picture(Picture(noise(), evaluations), order())


@pytest.mark.parametrize("pixels", [noise(64, 80), noise()[..., 0], noise().astype(np.float32), noise(64, 128)[:, ::2]])
def test_another_shape_type_or_layout(pixels):
    with pytest.raises(BadPicture, match="pixels are"):
        check_picture(Picture(pixels, 8), order())


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (200, 30, 90)])
def test_one_colour_with_the_noise_of_rounding(colour):
    flat = np.full((64, 64, 3), colour, np.uint8)
    flat[1, 1] ^= 1
    with pytest.raises(BadPicture, match="flat"):
        check_picture(Picture(flat, 8), order())


def test_a_detail_between_the_samples_is_seen():
    pixels = np.full((64, 64, 3), 100, np.uint8)
    pixels[5, 5, 1] = 103
    check_picture(Picture(pixels, 8), order())
