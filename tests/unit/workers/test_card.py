"""The card of the simulated engine."""

from __future__ import annotations

import itertools

import pytest
from PIL import ImageFont

from factory.fonts import SANS_PATH
from factory.workers.engines.card.draw_card import _lines, draw_card
from factory.workers.engines.card.glyphs import _is_missing, _tile, glyph
from tests.cpu_time import cpu_seconds, least_seconds

LONG = "soft light on a walnut table, 红色陶瓷马克杯，适合夏季促销的主图, shallow depth of field"


def test_each_chinese_character_has_its_own_shape():
    shapes = {bytes(glyph(character, 40).mask.tobytes()) for character in "红蓝猫狗杯子"}
    assert len(shapes) == 6
    assert all(max(glyph(character, 40).mask.tobytes()) > 150 for character in "红蓝猫狗杯子")


def test_chinese_is_drawn_with_the_shipped_font_on_every_machine():
    font = ImageFont.truetype(str(SANS_PATH), 40)
    for character in "红。ñ①":
        ink = sum(bytes(font.getmask(character)))
        assert not _is_missing(character, 40)
        assert sum(glyph(character, 40).mask.tobytes()) == pytest.approx(ink, rel=0.02)


@pytest.mark.parametrize("rare", ["龘", "価", "🎁", "\uffff"])
def test_a_character_that_the_font_lacks_becomes_a_tile(rare):
    assert _is_missing(rare, 40)
    assert glyph(rare, 40).mask.tobytes() == _tile(rare, 40).mask.tobytes()
    assert draw_card(f"一只{rare}杯子", 1, 256, 256).shape == (256, 256, 3)


def test_a_tile_stands_in_its_line():
    tile, beside = glyph("龘", 40), glyph("国", 40)
    assert abs(tile.top - beside.top) <= 4
    assert abs(tile.top + tile.mask.height - beside.top - beside.mask.height) <= 4
    assert abs(tile.advance - beside.advance) <= 4


def test_the_same_order_draws_the_same_card():
    first = draw_card(LONG, 5, 512, 512)
    assert (first == draw_card(LONG, 5, 512, 512)).all()
    assert (first != draw_card(LONG, 6, 512, 512)).any()


def test_no_line_starts_with_a_closing_mark():
    lines = _lines("白底图，磨砂，蓝色。陶瓷马克杯，柔和侧光，电商主图", 20, 60)
    assert all(line[0] not in "，。" for line in lines)
    assert lines[0] == "白底图，"


@pytest.mark.parametrize(("width", "height"), [(1024, 1024), (512, 768), (16, 16), (2048, 256)])
def test_every_size_has_a_card(width, height):
    pixels = draw_card(LONG, 1, width, height)
    assert pixels.shape == (height, width, 3)
    assert pixels.std() > 5


def test_the_prompt_is_on_the_card():
    written = draw_card(LONG, 1, 512, 512)
    assert (written != draw_card(LONG.replace("walnut", "marble"), 1, 512, 512)).any()
    panel = written[300:420, 60:450].astype(int).sum(axis=2)
    assert 0.02 < (panel < 300).mean() < 0.4


def test_lines_keep_words_whole_and_fit():
    lines = _lines("one two three four five six", 20, 120)
    assert "".join(lines).replace(" ", "") == "onetwothreefourfivesix"
    assert all(word in ["one", "two", "three", "four", "five", "six"] for line in lines for word in line.split())
    assert all(sum(glyph(letter, 20).advance for letter in line) <= 120 for line in lines)
    assert len(_lines("x" * 5000, 20, 120)) == 6


def test_a_card_is_cheap():
    draw_card(LONG, 0, 1024, 1024)
    seeds = itertools.count()
    assert least_seconds(lambda: cpu_seconds(lambda: draw_card(LONG, next(seeds), 1024, 1024)), below=0.003) < 0.003
