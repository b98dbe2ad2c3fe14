"""Denoiser training goes on where it was stopped, and what it saves is what the pipeline loads."""

from __future__ import annotations

import random

import pytest
import torch
from diffusers import ZImageTransformer2DModel
from transformers import Qwen3Model

from demo.shop.captions import caption
from demo.shop.goods import every_scene
from demo.training import architecture, batches, denoiser, fast_forward
from demo.training.tokenizer import build_tokenizer

PLAN = batches.Plan(steps=10, batch={128: 8, 256: 4})


@pytest.fixture(scope="module")
def examples():
    scenes, rng = list(every_scene(1)), random.Random(0)
    tokenizer = build_tokenizer(caption(scene, rng) for scene in scenes for _ in range(8))
    generator = torch.Generator().manual_seed(0)
    latents = {side: torch.randn(len(scenes), 16, side // 8, side // 8, generator=generator).half() for side in PLAN.batch}
    return latents, dict.fromkeys(PLAN.batch, scenes), tokenizer


@pytest.fixture(autouse=True)
def eager(monkeypatch):
    """Compiling takes minutes and is the same code, as are eight layers for two."""
    monkeypatch.setattr(
        denoiser, "FastForward", lambda model, precision, compiled: fast_forward.FastForward(model, precision, compiled=False)
    )
    monkeypatch.setattr(denoiser, "build_transformer", lambda: architecture.build_transformer(layers=2))
    monkeypatch.setattr(denoiser, "LOG_STEPS", 2)


def _trained(examples, folder):
    latents, scenes, tokenizer = examples
    denoiser.train_denoiser(latents, scenes, tokenizer, folder, PLAN)
    return ZImageTransformer2DModel.from_pretrained(folder / "transformer"), Qwen3Model.from_pretrained(folder / "text_encoder")


def test_stopped_and_resumed_is_the_same_training(examples, tmp_path, monkeypatch):
    whole = _trained(examples, tmp_path / "whole")
    monkeypatch.setattr(denoiser, "SAVE_SECONDS", 0.0)
    learn = denoiser.Training.learn

    def stopped(training, batch):
        if training.step == 8:
            raise KeyboardInterrupt
        return learn(training, batch)

    with monkeypatch.context() as once:
        once.setattr(denoiser.Training, "learn", stopped)
        with pytest.raises(KeyboardInterrupt):
            _trained(examples, tmp_path / "parts")
    for part, expected in zip(_trained(examples, tmp_path / "parts"), whole, strict=True):
        theirs = expected.state_dict()
        for name, weight in part.state_dict().items():
            torch.testing.assert_close(weight, theirs[name], atol=1e-6, rtol=1e-5)
    assert '"step": 10' in (tmp_path / "parts" / "denoiser.jsonl").read_text()


def test_noise_levels_are_stratified_and_exact_at_the_end(examples):
    source = batches.Batches(batches.Plan(steps=100), *examples)
    early, late = source[0], source[99]
    u = (1 - early.time) / (1 + 2 * early.time)  # sigma = 3u / (1 + 2u) turned round
    assert torch.equal((u.clamp(max=1 - 1e-6) * len(u)).floor().int(), torch.arange(len(u), dtype=torch.int32))
    expected = torch.tensor([0.3, 0.5, 0.6429, 0.75, 0.8333, 0.9, 0.9545, 1.0])
    torch.testing.assert_close((1 - late.time).unique().sort().values, expected, atol=1e-4, rtol=0)
    clean = early.noisy + (1 - early.time[:, None, None]) * early.target
    known = fast_forward.patches(examples[0][128].float())
    assert torch.cdist(clean.flatten(1), known.flatten(1)).min(dim=1).values.max() < 0.1


def test_batch_depends_on_its_number_alone(examples):
    one, other = batches.Batches(PLAN, *examples), batches.Batches(PLAN, *examples)
    other[3]
    for ours, theirs in zip(vars(one[7]).values(), vars(other[7]).values(), strict=True):
        assert torch.equal(ours, theirs)
