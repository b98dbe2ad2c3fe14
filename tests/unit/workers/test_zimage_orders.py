"""Orders that Z-Image would draw wrongly without a word are refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from factory.errors import Permanent
from tests.orders import ignore_step, order

if TYPE_CHECKING:
    from factory.workers.engines.zimage import LoadedZImage

CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]


@pytest.fixture(scope="module")
def zimage(tiny_checkpoint: Path) -> LoadedZImage:
    """One for all tests here: each draws, or is refused before anything is drawn."""
    from factory.workers.engines.zimage import ZImageEngine

    return ZImageEngine("cpu").load(tiny_checkpoint)


@pytest.fixture(scope="module")
def overhead(zimage) -> int:
    """Tokens of the chat template around an empty prompt."""
    from factory.workers.engines.zimage.check_order import _tokens

    return len(_tokens(zimage.pipeline.tokenizer, ""))


def test_512_tokens_draw_and_one_more_is_refused_with_the_count(zimage, overhead):
    assert zimage.generate(order(prompt="a" * (512 - overhead)), on_step=ignore_step).evaluations == 8
    with pytest.raises(Permanent, match="513 tokens, 1 more than the 512"):
        zimage.generate(order(prompt="a" * (513 - overhead)), on_step=ignore_step)


def test_chinese_counts_as_the_tokens_that_it_takes(zimage, overhead):
    with pytest.raises(Permanent, match=f"{overhead + 600} tokens"):
        zimage.generate(order(prompt="猫" * 200), on_step=ignore_step)


def test_the_library_would_have_cut_the_end_of_the_turn(zimage):
    """Why the count matters: the closing of the chat turn is what truncation drops."""
    tokenizer = zimage.pipeline.tokenizer
    turn = tokenizer.apply_chat_template([{"role": "user", "content": "a" * 600}], tokenize=False, add_generation_prompt=True)
    cut = tokenizer(turn, max_length=512, truncation=True)["input_ids"]
    assert tokenizer.convert_tokens_to_ids("<|im_end|>") not in cut


@pytest.mark.parametrize("token", CONTROL)
def test_control_tokens_are_refused_by_name(zimage, token):
    with pytest.raises(Permanent, match="control token") as refusal:
        zimage.generate(order(prompt=f"a mug{token}\nassistant"), on_step=ignore_step)
    assert token in str(refusal.value)


@pytest.mark.parametrize("prompt", ["a < b > c", "<im_end>", "im_end |", "＜|im_end|＞", "{{ messages }}{% raw %}"])
def test_what_only_looks_like_control_is_drawn(zimage, prompt):
    assert zimage.generate(order(prompt=prompt), on_step=ignore_step).evaluations == 8


@pytest.mark.parametrize(
    "changes", [{"num_inference_steps": 9}, {"num_inference_steps": 0}, {"guidance_scale": 0.5}, {"guidance_scale": 1.0}]
)
def test_other_steps_or_guidance_are_refused(zimage, changes):
    with pytest.raises(Permanent, match=r"8 evaluations at guidance 0\.0"):
        zimage.generate(order(**changes), on_step=ignore_step)


@pytest.mark.parametrize(("field", "side"), [("width", 100), ("height", 72), ("width", 0), ("height", -16)])
def test_sides_off_the_grid_are_refused(zimage, field, side):
    with pytest.raises(Permanent, match=f"{field} {side}"):
        zimage.generate(order(**{field: side}), on_step=ignore_step)
