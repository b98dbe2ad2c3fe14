"""The autoencoder: learns from nothing to turn a picture into 16 channels at an eighth of its side, and back."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor
from torch.nn.functional import avg_pool2d, l1_loss, mse_loss
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from demo.training.architecture import build_autoencoder
from demo.training.crops import Pictures, as_tensor, crops, split
from demo.training.loss_log import log_line
from demo.training.muon import Muon
from demo.training.schedule import Schedule
from demo.training.whole_folder import whole_folder

STEPS = 5600
MUON_LR, ADAM_LR = 0.02, 3e-3
SCHEDULE = Schedule(warm_up=30, decay_from=0.55)
LATENT_NOISE = 0.05  # of the latents' spread, at the end: the decoder must forgive the denoiser's small errors
LOG_SECONDS, SAVE_SECONDS = 20.0, 240.0
# Until this share of the steps: crops (side, batch), taken in turn. Small crops first: many more steps for the same time.
# Whole 256-pixel pictures last, since the norms see the whole picture and act otherwise on crops.
PHASES = ((0.5, ((64, 16),)), (0.88, ((128, 6),)), (1.0, ((128, 6), (256, 2))))


def new_autoencoder() -> AutoencoderKL:
    """Random weights, drawn with torch's global generator; the posterior is quiet (deviation 0.08) from the start."""
    vae = build_autoencoder()
    torch.nn.init.constant_(vae.encoder.conv_out.bias[16:], -5.0)
    return vae


def train_autoencoder(pictures: Pictures, folder: Path, device: str, steps: int = STEPS) -> AutoencoderKL:
    """Train on `pictures` (side -> uint8 (count, side, side, 3)) and save the averaged weights, fp32, to `folder`/vae.

    Resumes from `folder`/autoencoder.pt; logs to stdout and `folder`/autoencoder.jsonl. Returns the saved model when there is one.
    scaling_factor and shift_factor of the returned config give (mean - shift) * scaling zero mean and unit variance overall.
    """
    if (folder / "vae").exists():
        return AutoencoderKL.from_pretrained(folder / "vae").to(device).eval()
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run.resumed(folder, device)
    learn, held_out = split(pictures)
    logged = saved = time.monotonic()
    while run.step < steps:
        loss = run.advance(learn, steps)
        now = time.monotonic()
        if now - logged >= LOG_SECONDS or run.step == steps:
            log_line(folder / "autoencoder.jsonl", run.step, run.seconds, loss=round(loss, 4), **run.quality(held_out))
            logged = time.monotonic()
        if now - saved >= SAVE_SECONDS or run.step == steps:
            run.save()
            saved = time.monotonic()
    vae = run.averaged.module.eval()
    shift, spread = _statistics(vae, learn)
    vae.register_to_config(shift_factor=round(shift, 4), scaling_factor=round(1 / spread, 4))
    with whole_folder(folder / "vae") as fresh:
        vae.save_pretrained(fresh)
    return vae


@torch.inference_mode()
def encode_pictures(vae: AutoencoderKL, pictures: np.ndarray[Any, Any], batch: int = 16) -> np.ndarray[Any, np.dtype[np.float16]]:
    """The posterior's mean, (mean - shift) * scaling: uint8 (count, side, side, 3) -> fp16 (count, 16, side/8, side/8)."""
    latents = [
        (_mean(vae, pictures[first : first + batch]) - vae.config.shift_factor) * vae.config.scaling_factor
        for first in range(0, len(pictures), batch)
    ]
    encoded: np.ndarray[Any, np.dtype[np.float16]] = torch.cat(latents).half().cpu().numpy()
    return encoded


@dataclass
class _Run:
    """What a run of training consists of; everything random follows from the step, so that a resumed run is the same run."""

    folder: Path
    vae: AutoencoderKL
    device: str
    step: int = 0
    seconds: float = 0.0
    averaged: AveragedModel = field(init=False)
    optimizers: tuple[torch.optim.Optimizer, ...] = field(init=False)

    def __post_init__(self) -> None:
        edges = {"encoder.conv_in.weight", "encoder.conv_out.weight", "decoder.conv_in.weight", "decoder.conv_out.weight"}
        named = list(self.vae.named_parameters())
        inner = [weight for name, weight in named if weight.ndim == 4 and name not in edges]
        other = [weight for name, weight in named if weight.ndim != 4 or name in edges]
        muon, adam = Muon(inner, lr=MUON_LR), torch.optim.AdamW(other, lr=ADAM_LR, betas=(0.9, 0.99), weight_decay=0.0)
        self.optimizers = (muon, adam)
        for optimizer in self.optimizers:
            optimizer.param_groups[0]["initial_lr"] = optimizer.param_groups[0]["lr"]
        self.averaged = AveragedModel(self.vae, multi_avg_fn=get_ema_multi_avg_fn(0.998))

    @classmethod
    def resumed(cls, folder: Path, device: str) -> _Run:
        torch.manual_seed(0)
        run = cls(folder, new_autoencoder().to(device), device)
        if (folder / "autoencoder.pt").exists():
            state = torch.load(folder / "autoencoder.pt", map_location=device, weights_only=True)
            run.step, run.seconds = state["step"], state["seconds"]
            run.vae.load_state_dict(state["vae"])
            run.averaged.load_state_dict(state["averaged"])
            for optimizer, saved in zip(run.optimizers, state["optimizers"], strict=True):
                optimizer.load_state_dict(saved)
        return run

    def save(self) -> None:
        state = {"step": self.step, "seconds": self.seconds, "vae": self.vae.state_dict(), "averaged": self.averaged.state_dict()}
        fresh = self.folder / "autoencoder.pt.new"
        torch.save(state | {"optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}, fresh)
        fresh.replace(self.folder / "autoencoder.pt")

    def advance(self, pictures: Pictures, steps: int) -> float:
        """One step of `steps` in all; returns the loss."""
        began, progress = time.monotonic(), self.step / steps
        pace = SCHEDULE.pace(self.step, steps)
        for optimizer in self.optimizers:
            optimizer.param_groups[0]["lr"] = optimizer.param_groups[0]["initial_lr"] * pace
        turns = next(turns for until, turns in PHASES if progress < until)
        batch = as_tensor(crops(pictures, *turns[self.step % len(turns)], np.random.default_rng(self.step)), self.device)
        loss = self._loss(batch, LATENT_NOISE * progress)
        loss.backward()
        for optimizer in self.optimizers:
            optimizer.step()
            optimizer.zero_grad()
        if progress >= SCHEDULE.decay_from:  # the first time it copies
            self.averaged.update_parameters(self.vae)
        self.step += 1
        self.seconds += time.monotonic() - began
        return float(loss.detach())

    def _loss(self, batch: Tensor, noise: float) -> Tensor:
        generator = torch.Generator(self.device).manual_seed(self.step)
        with torch.autocast(self.device, torch.bfloat16):
            posterior = self.vae.encode(batch).latent_dist
            mean, variance = posterior.mean.float(), posterior.var.float()
            deviation = (variance + (noise * mean.detach().std()) ** 2).sqrt()
            latents = mean + deviation * torch.randn(mean.shape, generator=generator, device=self.device)
            decoded = self.vae.decode(latents).sample.float()
        error = decoded - batch
        edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
        coarse = sum(avg_pool2d(error, size).square().mean() for size in (4, 16))
        divergence = 0.5 * (mean.square() + variance - 1 - posterior.logvar.float()).mean()
        return l1_loss(decoded, batch) + 6 * mse_loss(decoded, batch) + 0.4 * edges + 5 * coarse + 3e-4 * divergence

    @torch.inference_mode()
    def quality(self, held_out: Pictures) -> dict[str, float]:
        """Mean PSNR in dB of the held-out pictures, for each side; of the averaged weights once there are any."""
        vae = self.averaged.module if self.averaged.n_averaged > 0 else self.vae
        found = {}
        for side, pictures in held_out.items():
            errors = []
            for first in range(0, len(pictures), 8):
                batch = pictures[first : first + 8]
                with torch.autocast(self.device, torch.bfloat16):
                    decoded = vae.decode(_mean(vae, batch)).sample.float().clamp(-1, 1)
                errors += (decoded - as_tensor(batch, self.device)).square().mean(dim=(1, 2, 3)).tolist()
            found[f"psnr_{side}"] = round(float(np.mean(-10 * np.log10(np.array(errors) / 4))), 2)
        return found


def _mean(vae: AutoencoderKL, pictures: np.ndarray[Any, Any]) -> Tensor:
    """The posterior's mean, unscaled, fp32."""
    with torch.autocast(vae.device.type, torch.bfloat16):
        return vae.encode(as_tensor(pictures, vae.device.type)).latent_dist.mean.float()


def _statistics(vae: AutoencoderKL, pictures: Pictures) -> tuple[float, float]:
    """Mean and standard deviation of the latents of 512 pictures for each side."""
    chance = np.random.default_rng(0)
    drawn = [each[np.sort(chance.choice(len(each), min(512, len(each)), replace=False))] for each in pictures.values()]
    with torch.inference_mode():
        latents = torch.cat([_mean(vae, part).flatten() for each in drawn for part in np.array_split(each, 64)])
    return latents.mean().item(), latents.std().item()
