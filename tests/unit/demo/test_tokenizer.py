"""The demo's tokenizer: any text survives it, captions are short in it, the chat template is Qwen's."""

import random

import pytest

from demo.shop.captions import caption, plain_captions
from demo.shop.goods import COLOURS, Scene
from demo.training.tokenizer import CONTROL, PIECES, build_tokenizer


def captions(count, seed):
    rng = random.Random(seed)
    return [caption(Scene(rng.randrange(10), rng.randrange(10), rng.randrange(10)), rng) for _ in range(count)]


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(captions(8000, seed=1))


def templated(tokenizer, text):
    return tokenizer.apply_chat_template(
        [{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, enable_thinking=True
    )


def test_the_size_and_the_control_tokens(tokenizer):
    assert len(tokenizer) == PIECES + len(CONTROL) == 1440
    assert tokenizer.convert_tokens_to_ids(CONTROL) == list(range(PIECES, 1440))
    assert tokenizer.pad_token_id == tokenizer.eos_token_id == PIECES


@pytest.mark.parametrize(
    "text",
    [
        "a red mug on a white background",
        "一个红色马克杯，白色背景",
        "龘靐齉爩 🫖🧋👩‍🚀",
        "  two  spaces\n\ttab ",
        "Ünïcödé ½ العربية",
        "¥199.00!!",
        "",
    ],
)
def test_any_text_comes_back(tokenizer, text):
    assert tokenizer.decode(tokenizer(text).input_ids) == text


def test_every_caption_comes_back(tokenizer):
    for text in captions(1000, seed=2):
        assert tokenizer.decode(tokenizer(text).input_ids) == text


@pytest.mark.parametrize("word", [*COLOURS, "mug", "teapot", "handbag", "sneaker", "headphones", "watch"])
def test_a_name_is_a_piece_or_two_wherever_it_stands(tokenizer, word):
    for written in (word, word.capitalize(), f" {word}"):
        assert len(tokenizer(written).input_ids) <= 2, written
    assert len(tokenizer(word.upper()).input_ids) <= 4


def test_the_same_texts_build_the_same(tokenizer):
    assert build_tokenizer(captions(8000, seed=1)).backend_tokenizer.to_str() == tokenizer.backend_tokenizer.to_str()


def test_too_few_texts_are_refused():
    with pytest.raises(ValueError, match="give more varied texts"):
        build_tokenizer(["a red mug"])


def test_a_saved_one_reads_the_same(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    again = type(tokenizer).from_pretrained(tmp_path)
    text = templated(tokenizer, "青色茶壶 on marble")
    assert again(text).input_ids == tokenizer(text).input_ids
    assert templated(again, "x") == templated(tokenizer, "x")


def test_the_chat_template(tokenizer):
    assert templated(tokenizer, "红") == "<|im_start|>user\n红<|im_end|>\n<|im_start|>assistant\n"
    assert len(tokenizer(templated(tokenizer, "")).input_ids) <= 8


def test_most_captions_fit_one_bucket_of_thirty_two(tokenizer):
    lengths = [len(tokenizer(templated(tokenizer, text)).input_ids) for text in captions(3000, seed=5)]
    assert sum(length <= 32 for length in lengths) >= 0.84 * len(lengths)
    assert max(lengths) <= 160
    assert max(len(tokenizer(templated(tokenizer, text)).input_ids) for text in plain_captions(Scene(8, 4, 5))) <= 32
