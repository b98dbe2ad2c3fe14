"""What the denoiser sees in each step: noisy latents, captions in tokens, and the direction from noise to picture."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from transformers import Qwen2Tokenizer

from demo.shop.captions import caption, plain_captions
from demo.shop.goods import BACKGROUNDS, COLOURS, OBJECTS, Scene
from demo.training.fast_forward import patches

BUCKET = 32  # a caption is padded to a multiple of so many tokens, in the model as here
_WORDINGS = 32
_LEVELS = 8  # evaluations the checkpoint is meant for


@dataclass(frozen=True)
class Plan:
    """How long to train and on what. `batch` is pictures a step for each side in pixels; `large` says until which share of the
    steps which share of the batches shows the largest side, `buckets` which share has captions of which length in tokens.
    """

    steps: int = 8500
    seed: int = 0
    batch: Mapping[int, int] = field(default_factory=lambda: {128: 64, 256: 20})
    large: tuple[tuple[float, float], ...] = ((0.15, 0.0), (0.6, 0.7), (1.0, 0.85))
    buckets: Mapping[int, float] = field(default_factory=lambda: {32: 0.87, 64: 0.08, 96: 0.01, 128: 0.04})
    empty_share: float = 0.08
    exact_from: float = 0.88


@dataclass(frozen=True)
class Batch:
    """`noisy` and `target` (x0 - noise) as patches (batch, n, 64); `time` = 1 - sigma (batch,); `tokens` (batch, bucket)."""

    noisy: Tensor
    target: Tensor
    time: Tensor
    tokens: Tensor
    lengths: Tensor


@dataclass(frozen=True)
class Captions:
    """All captions of one bucket, those of a triple (item, colour, background) in a row from `first`, `count` of them."""

    tokens: Tensor
    lengths: Tensor
    first: Tensor
    count: Tensor

    def draw(self, triples: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Tokens (batch, bucket) and lengths (batch,) of one caption for each of `triples`, which must have some."""
        chance = torch.rand(len(triples), generator=generator)
        rows = self.first[triples] + (chance * self.count[triples]).long()
        return self.tokens[rows].long(), self.lengths[rows]


class Batches:
    """Batch number n of a plan, always the same one, whatever was asked for before.

    `latents`: side in pixels -> (count, 16, side / 8, side / 8), scaled as the pipeline scales them; `scenes` in the same order.
    """

    def __init__(self, plan: Plan, latents: Mapping[int, Tensor], scenes: Mapping[int, Sequence[Scene]], tokenizer: Qwen2Tokenizer) -> None:
        self._plan, self._latents = plan, latents
        self._triples = {side: torch.tensor([_triple(scene) for scene in shown]) for side, shown in scenes.items()}
        self._captions = tabulate(tokenizer, random.Random(plan.seed), tuple(plan.buckets))
        empty = _tokenise(tokenizer, [""])[0]
        self._empty = torch.tensor(empty + [tokenizer.pad_token_id] * (BUCKET - len(empty))), len(empty)
        self._pools = {
            (side, bucket): captions.count[triples].nonzero()[:, 0]
            for side, triples in self._triples.items()
            for bucket, captions in self._captions.items()
        }

    @property
    def shapes(self) -> list[tuple[int, int]]:
        """(side, bucket) of all batches there are: each costs a compilation."""
        return [(side, bucket) for side in self._plan.batch for bucket in self._plan.buckets]

    def __getitem__(self, step: int) -> Batch:
        generator = torch.Generator().manual_seed(self._plan.seed * 1_000_003 + step)
        side, bucket = self._shape(step, generator)
        return self.draw(side, bucket, step, generator)

    def draw(self, side: int, bucket: int, step: int, generator: torch.Generator) -> Batch:
        """A batch of the given shape with the noise levels of `step`."""
        count, pool = self._plan.batch[side], self._pools[side, bucket]
        picked = pool[torch.randint(len(pool), (count,), generator=generator)]
        tokens, lengths = self._captions[bucket].draw(self._triples[side][picked], generator)
        if bucket == BUCKET:
            silent = torch.rand(count, generator=generator) < self._plan.empty_share
            tokens = torch.where(silent[:, None], self._empty[0], tokens)
            lengths = torch.where(silent, self._empty[1], lengths)
        clean = patches(self._latents[side][picked].float())
        noise = torch.randn(clean.shape, generator=generator)
        sigma = self._sigma(step, count, generator)
        noisy = torch.lerp(clean, noise, sigma[:, None, None])
        return Batch(noisy, clean - noise, 1 - sigma, tokens, lengths)

    def _shape(self, step: int, generator: torch.Generator) -> tuple[int, int]:
        by_size = float(torch.rand((), generator=generator))
        shares = torch.tensor(list(self._plan.buckets.values()))
        bucket = list(self._plan.buckets)[int(torch.multinomial(shares, 1, generator=generator))]
        is_large = by_size < next(share for until, share in self._plan.large if step < until * self._plan.steps)
        return (max if is_large else min)(self._plan.batch), bucket

    def _sigma(self, step: int, count: int, generator: torch.Generator) -> Tensor:
        """Noise levels (count,): stratified over all of them, at the end only those that sampling in 8 evaluations meets."""
        if step >= self._plan.exact_from * self._plan.steps:
            offset = int(torch.randint(_LEVELS, (), generator=generator))
            u = ((torch.arange(count) + offset) % _LEVELS + 1) / _LEVELS
        else:
            u = (torch.arange(count) + torch.rand(count, generator=generator)) / count
        return 3 * u / (1 + 2 * u)


def tabulate(tokenizer: Qwen2Tokenizer, rng: random.Random, buckets: tuple[int, ...]) -> dict[int, Captions]:
    """Captions of every triple by bucket: the plain ones and free wordings; those that fit no bucket are left out."""
    wordings: dict[int, list[tuple[int, list[int]]]] = {bucket: [] for bucket in buckets}
    for triple in range(len(OBJECTS) * len(COLOURS) * len(BACKGROUNDS)):
        rest, background = divmod(triple, len(BACKGROUNDS))
        item, colour = divmod(rest, len(COLOURS))
        scene = Scene(item, colour, background)
        texts = [*plain_captions(scene), *(caption(scene, rng) for _ in range(_WORDINGS))]
        for tokens in _tokenise(tokenizer, texts):
            bucket = -(-len(tokens) // BUCKET) * BUCKET
            if bucket in wordings:
                wordings[bucket].append((triple, tokens))
    return {bucket: _captions(bucket, rows, tokenizer.pad_token_id) for bucket, rows in wordings.items()}


def _captions(bucket: int, rows: list[tuple[int, list[int]]], padding: int) -> Captions:
    tokens = torch.tensor([ids + [padding] * (bucket - len(ids)) for _, ids in rows], dtype=torch.int16).reshape(-1, bucket)
    triples = torch.tensor([triple for triple, _ in rows], dtype=torch.long)
    count = torch.bincount(triples, minlength=len(OBJECTS) * len(COLOURS) * len(BACKGROUNDS))
    return Captions(tokens, torch.tensor([len(ids) for _, ids in rows]), count.cumsum(0) - count, count)


def _tokenise(tokenizer: Qwen2Tokenizer, texts: list[str]) -> list[list[int]]:
    """As ZImagePipeline does it: one message of a user, then the head of the answer."""
    talks = [
        tokenizer.apply_chat_template([{"role": "user", "content": text}], tokenize=False, add_generation_prompt=True, enable_thinking=True)
        for text in texts
    ]
    return tokenizer(talks)["input_ids"]  # type: ignore[no-any-return]


def _triple(scene: Scene) -> int:
    return (scene.item * len(COLOURS) + scene.colour) * len(BACKGROUNDS) + scene.background
