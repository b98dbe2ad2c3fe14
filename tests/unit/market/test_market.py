"""The market: every template lints clean, has its sample, and says in its example what the demo checkpoint can draw."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from demo.shop.wording import wording
from factory.domain.fill_template import example_vars, fill_template
from factory.domain.lint_template import lint_template
from factory.domain.read_template import read_template, write_template
from factory.domain.template_body import CHINESE
from factory.market import SAMPLES, SHELF, load_market, market_template, sample_file

MARKET = {body.name: body for body in load_market()}
LARGEST_SAMPLE = 12_000
each = pytest.mark.parametrize("name", MARKET)


def example(name: str) -> str:
    return fill_template(MARKET[name], example_vars(MARKET[name]))


def test_there_are_enough_in_both_languages():
    assert len(MARKET) >= 14
    chinese = [name for name in MARKET if CHINESE.search(example(name))]
    assert min(len(chinese), len(MARKET) - len(chinese)) >= 7


def test_the_scenes_that_shops_ask_for_are_there():
    wanted = {
        "white-bg",
        "gradient-studio",
        "holiday-sale",
        "picnic",
        "detail-page",
        "mascot-poses",
        "qixi-pink",
        "sketch-style",
        "night-style",
    }
    assert wanted <= set(MARKET)
    assert MARKET["mascot-poses"].seed.value == 88415
    assert [use.name for use in MARKET["sketch-style"].loras] == ["sketch"]
    assert [use.name for use in MARKET["night-style"].loras] == ["night"]


def test_one_field_is_enough_for_the_white_background():
    assert fill_template(MARKET["white-bg"], {"product": "保温杯"}) == "保温杯，白底图，电商主图"


@each
def test_it_lints_without_a_word_and_says_what_it_is_in_both_languages(name):
    body = MARKET[name]
    assert [finding.problem.message for finding in lint_template(body)] == []
    said = [body.title, body.description, *(variable.title for variable in body.variables.values())]
    assert all(words is not None and words.zh is not None and words.en is not None for words in said)
    assert body.category
    assert read_template(write_template(body).encode()) == body


@each
def test_the_demo_checkpoint_knows_what_its_example_says(name):
    prompt = example(name).lower()
    words = wording("zh" if CHINESE.search(prompt) else "en")

    def said(lists, *kinds) -> set[str]:
        return {key for key, forms in lists.items() for kind in kinds for word in forms[kind] if word.lower() in prompt}

    assert len(said(words.objects, "noun")) == 1
    assert said(words.colours, "word")
    assert said(words.backgrounds, "label", "where", "scene")


@each
def test_it_has_a_small_sample(name):
    file = sample_file(name)
    assert file is not None, "run scripts/draw_market_samples.py"
    assert file.stat().st_size <= LARGEST_SAMPLE
    with Image.open(io.BytesIO(file.read_bytes())) as picture:
        assert (picture.format, picture.size) == ("JPEG", (256, 256))


def test_no_sample_is_left_of_a_template_that_is_gone():
    assert {file.stem for file in SAMPLES.glob("*.jpg")} <= set(MARKET)
    assert {file.stem for file in SHELF.glob("*.yaml")} == set(MARKET)


@pytest.mark.parametrize("name", ["", "..", "../../settings", "white-bg.yaml", "nothing"])
def test_only_names_on_the_shelf_open_files(name):
    assert market_template(name) is None
    assert sample_file(name) is None
