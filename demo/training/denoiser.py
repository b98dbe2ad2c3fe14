"""The denoiser: learns with its text encoder, both from nothing, to turn noise and a caption into latents."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import ZImageTransformer2DModel
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from transformers import Qwen2Tokenizer, Qwen3Model

from demo.shop.goods import Scene
from demo.training.architecture import build_text_encoder, build_transformer
from demo.training.batches import Batch, Batches, Plan
from demo.training.fast_forward import FastForward, caption_features
from demo.training.loss_log import log_line
from demo.training.schedule import Schedule
from demo.training.whole_folder import whole_folder

MUON_LR, MUON_DECAY, ADAM_LR = 0.02, 0.01, 2e-3
SCHEDULE = Schedule(warm_up=100, decay_from=0.6)
EMA = 0.999
LOG_STEPS, SAVE_SECONDS = 50, 300.0


def train_denoiser(
    latents: Mapping[int, Tensor],
    scenes: Mapping[int, Sequence[Scene]],
    tokenizer: Qwen2Tokenizer,
    folder: Path,
    plan: Plan,
) -> None:
    """Train on `latents` (side in pixels -> (count, 16, side / 8, side / 8), scaled) of `scenes`, same order.

    Saves the averaged weights, float32, to `folder`/transformer and `folder`/text_encoder; does nothing when they are there.
    Resumes from `folder`/denoiser.pt, logs to stdout and `folder`/denoiser.jsonl.
    """
    if (folder / "text_encoder").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    training = Training(plan, len(tokenizer), torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    state, batches = folder / "denoiser.pt", Batches(plan, latents, scenes, tokenizer)
    if state.exists():
        training.load_state_dict(torch.load(state, map_location=training.device, weights_only=True))
    training.compile(batches)
    losses, saved = dict[int, list[float]](), time.monotonic()
    while training.step < plan.steps:
        batch = batches[training.step]
        losses.setdefault(_side(batch), []).append(training.learn(batch))
        if training.step % LOG_STEPS == 0:
            means = {f"loss_{side}": round(sum(found) / len(found), 4) for side, found in sorted(losses.items())}
            log_line(folder / "denoiser.jsonl", training.step, training.seconds, **means, samples=training.samples)
            losses.clear()
        if time.monotonic() - saved > SAVE_SECONDS:
            _save(training, state)
            saved = time.monotonic()
    _save(training, state)
    weights = training.averaged.module
    for part in ("transformer", "text_encoder"):  # the second says that the stage is done
        with whole_folder(folder / part) as fresh:
            weights[part].save_pretrained(fresh)


class Training:
    """Weights, their running average, optimizers, the number of the next step, and the pictures and seconds spent so far."""

    def __init__(self, plan: Plan, vocabulary: int, device: torch.device) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(plan.seed)
            parts = {"transformer": build_transformer(), "text_encoder": build_text_encoder(vocabulary)}
        self.model, self._plan, self.device = nn.ModuleDict(parts).to(device), plan, device
        self.step, self.samples, self.seconds = 0, 0, 0.0
        self.averaged = AveragedModel(self.model, multi_avg_fn=get_ema_multi_avg_fn(EMA))
        matrices = _block_matrices(parts["transformer"])
        taken = {id(matrix) for matrix in matrices}
        self._rest = [parameter for parameter in self.model.parameters() if id(parameter) not in taken]
        self._muon = torch.optim.Muon(matrices, lr=MUON_LR, weight_decay=MUON_DECAY)
        self._adam = torch.optim.AdamW(self._rest, lr=ADAM_LR, betas=(0.9, 0.98), weight_decay=0.0, fused=True)
        self._forward = FastForward(parts["transformer"], torch.bfloat16, compiled=True)

    def compile(self, batches: Batches) -> None:
        """Compile for every shape before the first step, so that the log's seconds are training alone."""
        for side, bucket in batches.shapes:
            begun = time.monotonic()
            self._loss(batches.draw(side, bucket, 0, torch.Generator().manual_seed(0))).backward()
            print(f"compiled for {side} pixels and {bucket} tokens in {time.monotonic() - begun:.0f} s", flush=True)
        self.model.zero_grad()

    def learn(self, batch: Batch) -> float:
        """One step; returns the loss."""
        begun, pace = time.monotonic(), SCHEDULE.pace(self.step, self._plan.steps)
        for optimizer, rate in ((self._muon, MUON_LR), (self._adam, ADAM_LR)):
            for group in optimizer.param_groups:
                group["lr"] = rate * pace
        loss = self._loss(batch)
        loss.backward()
        clip_grad_norm_(self._rest, 1.0)
        self._muon.step()
        self._adam.step()
        self.model.zero_grad()
        if self.step >= SCHEDULE.decay_from * self._plan.steps:  # before, the rate is too high for an average of 1000 steps to be near
            self.averaged.update_parameters(self.model)
        value = float(loss.detach())
        self.step, self.samples, self.seconds = self.step + 1, self.samples + len(batch.noisy), self.seconds + time.monotonic() - begun
        return value

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on."""
        counts = {"step": self.step, "samples": self.samples, "seconds": self.seconds}
        return {name: part.state_dict() for name, part in self._parts().items()} | counts

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        for name, part in self._parts().items():
            part.load_state_dict(state[name])
        self.step, self.samples, self.seconds = state["step"], state["samples"], state["seconds"]

    def _parts(self) -> dict[str, Any]:
        return {"model": self.model, "averaged": self.averaged, "muon": self._muon, "adam": self._adam}

    def _loss(self, batch: Batch) -> Tensor:
        noisy, target, times, tokens, lengths = (part.to(self.device) for part in vars(batch).values())
        with torch.autocast(self.device.type, torch.bfloat16):
            captions = caption_features(self._text_encoder, tokens)
        return nn.functional.mse_loss(self._forward(noisy, times, captions.float(), lengths), target)

    @property
    def _text_encoder(self) -> Qwen3Model:
        return self.model["text_encoder"]


def _side(batch: Batch) -> int:
    """Of the pictures in the batch, in pixels: a token is 16 of them wide."""
    return 16 * math.isqrt(batch.noisy.shape[1])


def _block_matrices(transformer: ZImageTransformer2DModel) -> list[nn.Parameter]:
    """Attention and feed-forward matrices of all blocks: what Muon moves."""
    return [
        linear.weight
        for block in (*transformer.noise_refiner, *transformer.context_refiner, *transformer.layers)
        for part in (block.attention, block.feed_forward)
        for linear in part.modules()
        if isinstance(linear, nn.Linear)
    ]


def _save(training: Training, file: Path) -> None:
    fresh = file.with_suffix(".new")
    torch.save(training.state_dict(), fresh)
    fresh.replace(file)
