"""The tokenizer: bytes and the pieces of captions that occur most, so that any text can be written and a caption stays short."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import Qwen2Tokenizer

PIECES = 1435  # 256 bytes + 1179 merges; with the control tokens 1440, a multiple of 32
LONGEST_PIECE = 12  # bytes: four Chinese characters
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>"]
ROLES = ["user\n", "assistant\n"]
LONGEST_CAPTION = 2048  # tokens; the text encoder's positions
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n"
    "{% if enable_thinking is defined and not enable_thinking %}<think>\n\n</think>\n\n{% endif %}{% endif %}"
)


def build_tokenizer(texts: Iterable[str]) -> Qwen2Tokenizer:
    """A tokenizer of 1440 entries whose merges are learned from `texts`: pieces 0 to 1434, then the control tokens in their order.

    The same texts give the same tokenizer. A ValueError says that the texts hold too few different pieces.
    """
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    # The way of cutting text is Qwen's own, taken from the class that will read the result.
    way = Qwen2Tokenizer(vocab={letter: place for place, letter in enumerate(letters)}, merges=[]).backend_tokenizer
    learner = Tokenizer(models.BPE())
    learner.normalizer, learner.pre_tokenizer = way.normalizer, way.pre_tokenizer
    trainer = trainers.BpeTrainer(
        vocab_size=PIECES, initial_alphabet=letters, max_token_length=LONGEST_PIECE, special_tokens=[], show_progress=False
    )
    learner.train_from_iterator(_as_met(texts), trainer)
    learned = json.loads(learner.to_str())["model"]
    if len(learned["vocab"]) != PIECES:
        raise ValueError(f"texts: {len(learned['vocab'])} pieces found where {PIECES} are needed; give more varied texts")
    vocabulary = learned["vocab"] | {token: PIECES + place for place, token in enumerate(CONTROL)}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[tuple(pair) for pair in learned["merges"]], additional_special_tokens=CONTROL[1:])
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.model_max_length = LONGEST_CAPTION
    return tokenizer


def _as_met(texts: Iterable[str]) -> Iterable[str]:
    """The texts between the template's words, and their words one by one as they may stand at a caption's start or be shouted.

    Without the latter "red" after a blank is one piece, and "red" as the first word two that a small text encoder confuses.
    """
    for text in texts:
        yield from (ROLES[0], text, ROLES[1])
        for word in text.split(" "):
            yield from (word, word.capitalize(), word.upper())
