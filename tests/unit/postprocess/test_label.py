from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageFont

from factory.errors import BadPicture
from factory.postprocess.label import VisibleLabel
from factory.postprocess.label_book import PLAIN, LabelBook
from factory.postprocess.plate import LABEL_FONT, draw_plate
from tests.cpu_time import cpu_seconds, least_seconds

from .drafts import make_draft, make_pixels

SIZES = [(128, 128), (256, 256), (512, 768), (1024, 1024), (1536, 1024)]


def label(height=1024, width=1024, *, brightness=120, profile="cn", **arguments):
    draft = make_draft(pixels=make_pixels(height, width, brightness=brightness), label_profile=profile)
    before = draft.pixels
    book = LabelBook({profile: replace(PLAIN[profile], **arguments)}) if arguments else None
    VisibleLabel(book).apply(draft)
    return before, draft


def contrast(one, other):
    """WCAG 2 contrast of two grey levels."""

    def luminance(level):
        level = level / 255
        return level / 12.92 if level <= 0.03928 else ((level + 0.055) / 1.055) ** 2.4

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("height", "width"), SIZES)
@pytest.mark.parametrize("brightness", [40, 225])
def test_every_drawn_letter_is_five_percent_of_the_short_side(height, width, brightness):
    """Measured in the finished picture: the rows that the lowest letter, the A, really inks."""
    _, draft = label(height, width, brightness=brightness, text="AI合成")
    fact = draft.facts["label"]
    x, y, w, h = fact["box"]
    plate = draft.pixels[y : y + h, x : x + w].astype(int).mean(axis=2)
    edge = max(2, h // 12)
    inside = plate[edge:-edge, edge:-edge]
    half = (inside.min() + inside.max()) / 2
    ink = inside < half if fact["plate"] == "light" else inside > half
    letter = ink[:, : inside.shape[1] // 4]
    rows = np.flatnonzero(letter.any(axis=1))
    assert (rows[-1] - rows[0] + 1) / min(height, width) >= 0.05
    assert fact["glyph_ratio"] >= 0.05


@pytest.mark.parametrize("profile", ["cn", "eu"])
@pytest.mark.parametrize("position", ["top-left", "top-right", "bottom-left", "bottom-right"])
def test_only_the_corner_changes(profile, position):
    before, draft = label(256, 320, profile=profile, position=position)
    x, y, w, h = draft.facts["label"]["box"]
    changed = np.argwhere((before != draft.pixels).any(axis=2))
    (top, left), (bottom, right) = changed.min(axis=0), changed.max(axis=0)
    assert (left >= x, top >= y, right < x + w, bottom < y + h) == (True,) * 4
    assert (x < 320 - x - w) == position.endswith("left")
    assert (y < 256 - y - h) == position.startswith("top")


def test_the_plate_follows_the_picture():
    assert label(brightness=30)[1].facts["label"]["plate"] == "dark"
    assert label(brightness=230)[1].facts["label"]["plate"] == "light"


@pytest.mark.parametrize("opacity", [0.6, 0.66, 1.0])
@pytest.mark.parametrize("light", [True, False])
@pytest.mark.parametrize("under", [0, 127, 128, 255])
def test_letters_stand_out_from_any_picture(opacity, light, under):
    plate = draw_plate("AI生成", 50, opacity, LABEL_FONT, light=light)
    region = np.full_like(plate.keep, under, dtype=np.uint8)
    plate.blend(region)
    middle = region[len(region) // 2]
    assert contrast(int(middle.min()), int(middle.max())) >= 4.5


def test_a_marketplace_picture_is_not_touched():
    before, draft = label(profile="marketplace-clean")
    assert draft.pixels is before
    assert draft.facts["label"] == {"profile": "marketplace-clean", "text": ""}


def test_eu_has_its_small_mark():
    _, draft = label(profile="eu")
    assert draft.facts["label"]["text"] == "AI"
    assert 0.03 <= draft.facts["label"]["glyph_ratio"] < 0.05


@pytest.mark.parametrize("text", ["AI生成", "AI合成", "人工智能生成", "本图由AI生成", "由人工智能合成"])
def test_lawful_texts_are_drawn(text):
    assert label(512, 512, text=text)[1].facts["label"]["text"] == text


def test_a_picture_too_small_for_its_label():
    with pytest.raises(BadPicture, match="shorten"):
        label(32, 32)


def test_the_shipped_font_is_small_and_has_its_characters():
    listed = (LABEL_FONT.parent / "characters.txt").read_text(encoding="utf-8").replace("\n", "")
    assert LABEL_FONT.stat().st_size <= 30_000
    assert (LABEL_FONT.parent / "OFL.txt").read_text().count("SIL OPEN FONT LICENSE") >= 1
    font = ImageFont.truetype(LABEL_FONT, 40)
    missing = bytes(font.getmask("\ue000"))
    assert [c for c in listed if c != " " and bytes(font.getmask(c)) == missing] == []


def test_a_label_costs_less_than_a_millisecond():
    draft = make_draft(pixels=make_pixels(1024, 1024))
    step = VisibleLabel()
    step.apply(draft)
    assert least_seconds(lambda: cpu_seconds(lambda: step.apply(draft)), below=0.001) < 0.001
