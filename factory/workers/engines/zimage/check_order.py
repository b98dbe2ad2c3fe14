"""check_order: what Z-Image-Turbo would draw wrongly without a word is refused before the card works."""

from __future__ import annotations

from collections import Counter

from transformers import PreTrainedTokenizerBase

from factory.domain.generation_spec import TURBO_EVALUATIONS, TURBO_GUIDANCE, GenerationSpec
from factory.errors import Permanent

MAX_TOKENS = 512
SIDE_MULTIPLE = 16


def check_order(tokenizer: PreTrainedTokenizerBase, spec: GenerationSpec) -> None:
    """Raise Permanent for other steps, guidance or sizes than the model has, and for prompts that it would garble."""
    if (spec.num_inference_steps, spec.guidance_scale) != (TURBO_EVALUATIONS, TURBO_GUIDANCE):
        raise Permanent(
            f"engine 'zimage' draws with {TURBO_EVALUATIONS} evaluations at guidance {TURBO_GUIDANCE}; "
            f"the order says {spec.num_inference_steps} at {spec.guidance_scale}"
        )
    for field, side in (("width", spec.width), ("height", spec.height)):
        if side <= 0 or side % SIDE_MULTIPLE:
            raise Permanent(f"{field} {side} is not a positive multiple of {SIDE_MULTIPLE}")
    _check_prompt(tokenizer, spec.prompt)


def _check_prompt(tokenizer: PreTrainedTokenizerBase, prompt: str) -> None:
    """Too long is cut silently and loses the end of the chat turn; `<|im_end|>` in the text ends the turn early."""
    tokens, control = _tokens(tokenizer, prompt), set(tokenizer.get_added_vocab().values())
    smuggled = Counter(token for token in tokens if token in control) - Counter(_tokens(tokenizer, ""))
    if smuggled:
        names = ", ".join(sorted(str(name) for name in tokenizer.convert_ids_to_tokens(list(smuggled))))
        raise Permanent(f"prompt contains the control token {names}; take it out")
    if len(tokens) > MAX_TOKENS:
        raise Permanent(f"prompt has {len(tokens)} tokens, {len(tokens) - MAX_TOKENS} more than the {MAX_TOKENS} that the model reads")


def _tokens(tokenizer: PreTrainedTokenizerBase, prompt: str) -> list[int]:
    turn = tokenizer.apply_chat_template(
        [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True, enable_thinking=True
    )
    tokens: list[int] = tokenizer(turn, padding=False, truncation=False)["input_ids"]
    return tokens
