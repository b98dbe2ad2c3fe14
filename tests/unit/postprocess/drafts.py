"""Drafts and pictures for the tests of the chain."""

import hashlib
import io

import numpy as np
from PIL import Image, ImageDraw

from factory.domain.draft import Draft
from factory.domain.generation_spec import GenerationSpec
from factory.postprocess.logo import Logo

PRODUCE_ID = "01932d8e-5b1a-7c3d-9e4f-0123456789ab"


def make_spec(**changed):
    ordered = {
        "prompt": "陶瓷杯，柔和的窗光",
        "checkpoint": "default",
        "checkpoint_sha256": "0" * 64,
        "engine": "simulated",
        "width": 256,
        "height": 256,
        "seed": 7,
    }
    return GenerationSpec(**(ordered | changed))


def make_pixels(height=256, width=256, *, brightness=120):
    """A soft gradient with grain, around a mean brightness."""
    grain = np.random.default_rng(7).normal(0, 6, (height, width, 3))
    slope = np.linspace(-20, 20, width)[None, :, None]
    return np.clip(brightness + slope + grain, 0, 255).astype(np.uint8)


def make_draft(*, pixels=None, **changed):
    return Draft(make_spec(**changed), make_pixels() if pixels is None else pixels, PRODUCE_ID)


def make_logo_png(width=60, height=40):
    """A red disc on nothing."""
    picture = Image.new("RGBA", (width, height))
    ImageDraw.Draw(picture).ellipse((1, 1, width - 2, height - 2), fill=(230, 20, 30, 255))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def make_logo(width=60, height=40):
    png = make_logo_png(width, height)
    return Logo(hashlib.sha256(png).hexdigest(), width / height, png)
