"""Pictures through the autoencoder and back: what a denoiser without a fault would give."""

from __future__ import annotations

import numpy as np
import torch
from diffusers import AutoencoderKL

from demo.shop.pixels import Pixels
from demo.training.crops import as_tensor


def reconstruct(vae: AutoencoderKL, pictures: Pixels, *, batch: int = 16) -> Pixels:
    """uint8 (N, H, W, 3) in and out, by way of the latent's mean. H and W are multiples of 8."""
    done = []
    with torch.inference_mode():
        for start in range(0, len(pictures), batch):
            values = as_tensor(pictures[start : start + batch], vae.device.type).to(vae.dtype)
            again = vae.decode(vae.encode(values).latent_dist.mean).sample.float().permute(0, 2, 3, 1)
            done.append(((again.clamp(-1, 1) + 1) * 127.5).round().to("cpu", torch.uint8).numpy())
    return np.concatenate(done) if done else pictures
