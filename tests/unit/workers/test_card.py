"""The card of the simulated engine."""

from __future__ import annotations

import time

import numpy as np
import pytest

from factory.workers.engines.card.draw_card import _lines, draw_card
from factory.workers.engines.card.glyphs import _is_missing, _tile, glyph

LONG = "soft light on a walnut table, 红色陶瓷马克杯，适合夏季促销的主图, shallow depth of field"


def test_each_chinese_character_has_its_own_shape():
    shapes = {bytes(glyph(character, 40).mask.tobytes()) for character in "红蓝猫狗杯子"}
    assert len(shapes) == 6
    assert all(max(glyph(character, 40).mask.tobytes()) > 150 for character in "红蓝猫狗杯子")


def test_a_character_that_no_font_has_becomes_a_tile():
    assert _is_missing("\uffff", 40)
    assert not _is_missing("a", 40)
    assert glyph("\uffff", 40).mask.tobytes() == _tile("\uffff", 40).mask.tobytes()


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
    costs = []
    for seed in range(20):
        started = time.thread_time()
        draw_card(LONG, seed, 1024, 1024)
        costs.append(time.thread_time() - started)
    assert np.median(costs) < 0.006
