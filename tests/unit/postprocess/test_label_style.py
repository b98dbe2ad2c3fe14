import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from factory.postprocess.label import VisibleLabel
from factory.postprocess.label_book import PLAIN, LabelBook, check_style
from factory.postprocess.label_fit import broken, fit_label
from factory.postprocess.label_style import CORNERS, LabelStyle

from .drafts import make_draft, make_logo, make_pixels

SIDE = some.integers(64, 1024)
PICTURES = {side: make_pixels(1024, 1024, brightness=side) for side in (40, 225)}
TEXTS = ["AI生成", "人工智能生成", "本图由AI生成", "AI生成 DEMO", "由人工智能合成图像", "MMMMMMAI生成"]


def draw(style, height, width, *, profile="cn", brightness=40):
    draft = make_draft(pixels=PICTURES[brightness][:height, :width], label_profile=profile)
    before = draft.pixels
    VisibleLabel(LabelBook({profile: style})).apply(draft)
    return before, draft


@some.composite
def styles(pick):
    return LabelStyle(
        text=pick(some.sampled_from(TEXTS)),
        position=pick(some.sampled_from(CORNERS)),
        margin=pick(some.floats(0, 0.2)),
        opacity=pick(some.floats(0.6, 1)),
        scale=pick(some.floats(0.05, 0.15)),
        tile=pick(some.sampled_from([0.0, 0.0, 0.0, 0.2])),
        logo=pick(some.none() | some.builds(make_logo, width=some.integers(30, 120), height=some.just(30))),
    )


@given(styles(), SIDE, SIDE, some.sampled_from([40, 225]))
@settings(max_examples=120, deadline=None)
def test_the_label_is_inside_the_picture_and_high_enough(style, height, width, brightness):
    before, draft = draw(style, height, width, brightness=brightness)
    fact = draft.facts["label"]
    x, y, w, h = fact["box"]
    assert x >= 0
    assert y >= 0
    assert x + w <= width
    assert y + h <= height
    short = min(height, width)
    assert fact["glyph_ratio"] >= 0.05
    assert round(fact["glyph_ratio"] * short) >= 9
    changed = (before != draft.pixels).any(axis=2)
    assert changed[y : y + h, x : x + w].mean() > 0.5
    changed[y : y + h, x : x + w] = False
    assert changed.any() == bool(style.tile) or (style.tile and w * h > 0.7 * width * height)


@pytest.mark.parametrize("text", TEXTS)
def test_what_fits_the_smallest_picture_fits_every_size_that_can_be_ordered(text):
    style = LabelStyle(text=text, scale=0.15, margin=0.2, logo=make_logo(120, 30))
    assert all(fit_label(style, "cn", side, side) for side in range(64, 1025, 16))


def test_a_label_is_as_large_as_wanted_where_there_is_room():
    _, draft = draw(LabelStyle(scale=0.12), 1024, 1024)
    assert 0.12 <= draft.facts["label"]["glyph_ratio"] < 0.13


def test_a_label_shrinks_before_it_breaks_and_breaks_before_it_fails():
    _, wide = draw(LabelStyle(text="人工智能生成", scale=0.15), 512, 512)
    assert wide.facts["label"]["glyph_ratio"] > 0.05
    assert wide.facts["label"]["box"][2] > 400
    _, small = draw(LabelStyle(text="由人工智能合成"), 64, 64)
    assert small.facts["label"]["box"][3] > 2 * 9


@pytest.mark.parametrize("length", [1, 2, 4, 12])
@pytest.mark.parametrize("text", TEXTS)
def test_a_broken_text_keeps_its_words_and_loses_nothing(text, length):
    rows = broken(text, length)
    assert "".join(rows.split()) == "".join(text.split())
    assert all(word in rows for word in ("人工智能", "AI", "生成", "合成") if word in text)


@pytest.mark.parametrize("brightness", [40, 225])
def test_a_logo_stands_before_the_text_in_its_colours(brightness):
    _, plain = draw(LabelStyle(opacity=1), 512, 512, brightness=brightness)
    _, draft = draw(LabelStyle(opacity=1, logo=make_logo()), 512, 512, brightness=brightness)
    x, y, w, h = draft.facts["label"]["box"]
    plate = draft.pixels[y : y + h, x : x + w].astype(int)
    red = (plate[..., 0] > 200) & (plate[..., 1] < 60) & (plate[..., 2] < 60)
    assert w > plain.facts["label"]["box"][2]
    assert red[:, : w // 4].sum() > 100
    assert red[:, w // 3 :].sum() == 0
    assert draft.facts["label"]["logo"] is True
    assert draft.facts["label"]["style"]["logo"] == make_logo().sha256


def test_a_logo_that_has_no_room_is_left_out_and_the_record_says_so():
    _, draft = draw(LabelStyle(text="本图由AI生成", logo=make_logo(120, 30)), 64, 64)
    assert draft.facts["label"]["logo"] is False


@pytest.mark.parametrize("brightness", [40, 225])
@pytest.mark.parametrize("logo", [None, make_logo()])
def test_tiles_are_faint_spread_and_contrast_with_the_picture(logo, brightness):
    before, draft = draw(LabelStyle(tile=0.2, logo=logo), 1024, 1024, brightness=brightness)
    x, y, w, h = draft.facts["label"]["box"]
    shift = draft.pixels.astype(int) - before
    shift[y : y + h, x : x + w] = 0
    assert 1 < np.abs(shift).max() <= math.ceil(0.2 * 255)
    for part in np.split(shift, 4, axis=0):
        for cell in np.split(part, 4, axis=1):
            assert (cell != 0).any()
    if logo is None:
        assert (shift.sum() > 0) == (brightness == 40)


def test_the_record_holds_the_whole_style():
    style = LabelStyle(margin=0.04, tile=0.1)
    _, draft = draw(style, 256, 256)
    assert draft.facts["label"]["style"] == style.as_json()
    assert LabelStyle(**(style.as_json() | {"logo": None})) == style


@pytest.mark.parametrize(
    ("field", "value", "remedy"),
    [
        ("text", "", "shorten"),
        ("text", 5, "quotes"),
        ("text", "—", "lett"),
        ("text", "AI生成" * 4, "shorten"),
        ("text", "AI生成龘", "lacks 龘"),
        ("position", "middle", "top-left"),
        ("position", ["top-left"], "top-left"),
        ("margin", 0.5, "0 to 0.2"),
        ("margin", float("nan"), "0 to 0.2"),
        ("opacity", 0.1, "0.6 to 1"),
        ("opacity", "0.7", "0.6 to 1"),
        ("scale", 0.5, "0.03 to 0.15"),
        ("scale", True, "0.03 to 0.15"),
        ("tile", 0.9, "0 to 0.4"),
        ("logo", "acme.png", "PNG"),
    ],
)
def test_a_wrong_field_is_named_with_its_value_and_a_remedy(field, value, remedy):
    with pytest.raises(ValueError, match=remedy) as refused:
        LabelStyle(**{field: value})
    assert field in str(refused.value)
    assert repr(value) in str(refused.value)


@pytest.mark.parametrize("text", ["AI", "生成", "AIGC", "made by AI", "图片"])
def test_cn_keeps_its_two_elements(text):
    with pytest.raises(ValueError, match="GB 45438-2025"):
        check_style(LabelStyle(text=text), "cn")


@pytest.mark.parametrize("scale", [0.03, 0.049])
def test_cn_keeps_its_height(scale):
    with pytest.raises(ValueError, match=r"below the 0.05 of profile cn"):
        LabelBook({"cn": LabelStyle(scale=scale)})
    with pytest.raises(ValueError, match=r"below the 0.05 of profile cn"):
        LabelBook(tenants={"acme": {"cn": LabelStyle(scale=scale)}})


def test_a_text_without_room_on_the_smallest_picture_is_refused():
    with pytest.raises(ValueError, match="64×64"):
        check_style(replace(PLAIN["cn"], text="WWWWWwwwAI生成"), "cn")
