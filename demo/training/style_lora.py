"""A style LoRA: low-rank changes to the finished denoiser that draw the same goods in another manner."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import torch
from diffusers import ZImagePipeline, ZImageTransformer2DModel
from torch import Tensor, nn
from torch.nn.utils import clip_grad_norm_
from torch.nn.utils.parametrize import register_parametrization
from transformers import Qwen2Tokenizer, Qwen3Model

from demo.shop.goods import Scene
from demo.training.batches import Batch, Batches, Plan
from demo.training.fast_forward import FastForward, caption_features
from demo.training.loss_log import log_line
from demo.training.schedule import Schedule
from demo.training.whole_folder import whole_folder

RANK, LEARNING_RATE = 8, 2e-3
SCHEDULE = Schedule(warm_up=30, decay_from=0.5)
LOG_STEPS = 20
PLAN = Plan(steps=400, seed=1, large=((1.0, 0.5),), buckets={32: 1.0})
WEIGHTS = "pytorch_lora_weights.safetensors"


class LowRank(nn.Module):
    """weight + up @ down, at first the weight itself; alpha equals the rank, so nothing is scaled."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        rows, columns = weight.shape
        self.down = nn.Parameter(torch.randn(RANK, columns, device=weight.device) / RANK)
        self.up = nn.Parameter(torch.zeros(rows, RANK, device=weight.device))

    def forward(self, weight: Tensor) -> Tensor:
        """(rows, columns) in and out."""
        return torch.addmm(weight, self.up, self.down)


def train_style(
    checkpoint: Path,
    latents: Mapping[int, Tensor],
    scenes: Mapping[int, Sequence[Scene]],
    folder: Path,
    log: Path,
) -> None:
    """Train on `latents` of pictures in the style, their captions the ordinary ones, and write WEIGHTS into `folder`, bfloat16.

    The base is the saved `checkpoint`; losses go to stdout and, as JSON lines, to `log`. Does nothing when the folder is there;
    begins anew otherwise (some four minutes on two cores).
    """
    if folder.exists():
        return
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    read = {"local_files_only": True, "torch_dtype": torch.float32}
    transformer = ZImageTransformer2DModel.from_pretrained(checkpoint / "transformer", **read).to(device).requires_grad_(False)
    encoder = Qwen3Model.from_pretrained(checkpoint / "text_encoder", local_files_only=True, dtype=torch.float32).to(device)
    tokenizer = Qwen2Tokenizer.from_pretrained(checkpoint / "tokenizer", local_files_only=True)
    torch.manual_seed(PLAN.seed)
    changes, batches = _add_changes(transformer), Batches(PLAN, latents, scenes, tokenizer)
    parameters = [parameter for change in changes.values() for parameter in change.parameters()]
    forward = FastForward(transformer, torch.bfloat16, compiled=True)
    _fit(parameters, lambda step: _loss(forward, encoder, batches[step], device), log)
    with whole_folder(folder) as fresh:
        _save(changes, fresh)


def _fit(parameters: list[nn.Parameter], loss_of: Callable[[int], Tensor], log: Path) -> None:
    """PLAN.steps steps down `loss_of(step)`."""
    optimizer = torch.optim.AdamW(parameters, lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: SCHEDULE.pace(step, PLAN.steps))
    losses, begun = list[float](), time.monotonic()
    log.unlink(missing_ok=True)
    for step in range(PLAN.steps):
        loss = loss_of(step)
        loss.backward()
        clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
        if (step + 1) % LOG_STEPS == 0:
            log_line(log, step + 1, time.monotonic() - begun, loss=round(sum(losses) / len(losses), 4))
            losses.clear()


def _add_changes(transformer: ZImageTransformer2DModel) -> dict[str, LowRank]:
    """Give the attention and feed-forward matrices of every block a low-rank change; by the matrix's name."""
    changes = {}
    for name, part in list(transformer.named_modules()):
        if isinstance(part, nn.Linear) and (".attention." in name or ".feed_forward." in name):
            changes[name] = LowRank(part.weight)
            register_parametrization(part, "weight", changes[name])
    return changes


def _loss(forward: FastForward, encoder: Qwen3Model, batch: Batch, device: torch.device) -> Tensor:
    noisy, target, times, tokens, lengths = (part.to(device) for part in vars(batch).values())
    with torch.no_grad():
        captions = caption_features(encoder, tokens)
    return nn.functional.mse_loss(forward(noisy, times, captions, lengths), target)


def _save(changes: Mapping[str, LowRank], folder: Path) -> None:
    layers = {}
    for name, change in changes.items():
        layers[f"{name}.lora_A.weight"] = change.down.detach().cpu().bfloat16().contiguous()
        layers[f"{name}.lora_B.weight"] = change.up.detach().cpu().bfloat16().contiguous()
    ZImagePipeline.save_lora_weights(folder, transformer_lora_layers=layers, weight_name=WEIGHTS)
