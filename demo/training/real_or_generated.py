"""Can a network tell generated pictures from drawn ones? 50 % right: it guesses."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from demo.shop.pixels import Pixels
from demo.training.crops import as_tensor


@dataclass(frozen=True)
class Share:
    """`right` of `of` answers, 0 … 1, between `low` and `high` in 95 of 100 repetitions (Wilson 1927, eq. for z = 1.96)."""

    right: float
    low: float
    high: float
    of: int

    @classmethod
    def of_counts(cls, right: int, of: int) -> Share:
        """Raises ValueError where there is nothing to count."""
        if of < 1:
            raise ValueError("of: a share of no answers, hand in more pictures")
        share, square = right / of, 1.96**2
        middle = (share + square / (2 * of)) / (1 + square / of)
        reach = 1.96 / (1 + square / of) * math.sqrt(share * (1 - share) / of + square / (4 * of * of))
        return cls(share, middle - reach, middle + reach, of)


@dataclass(frozen=True)
class Examination:
    """Share of pictures held out, and steps of 16 drawn and 16 generated crops of `crop` pixels; whole pictures are judged."""

    held_out: float = 0.4
    steps: int = 600
    crop: int = 96
    seed: int = 11


def detective() -> nn.Sequential:
    """(N, 3, H, W) → (N, 1): above 0 is generated. Sees detail at native resolution, and takes any size of at least 16."""
    layers: list[nn.Module] = []
    for inner, outer in itertools.pairwise((3, 24, 48, 64, 96)):
        layers += [nn.Conv2d(inner, outer, 3, padding=1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.2), nn.Linear(96, 1))


def squares(pictures: torch.Tensor, count: int, size: int, chance: torch.Generator) -> torch.Tensor:
    """`count` squares of at most `size` pixels, each from a picture and a place by chance."""
    size = min(size, *pictures.shape[-2:])
    cut = []
    for _ in range(count):
        which = int(torch.randint(0, len(pictures), (), generator=chance))
        down, across = (int(torch.randint(0, room - size + 1, (), generator=chance)) for room in pictures.shape[-2:])
        cut.append(pictures[which, :, down : down + size, across : across + size])
    return torch.stack(cut)


def trained(real: torch.Tensor, generated: torch.Tensor, plan: Examination) -> nn.Sequential:
    """A detective that has seen crops of both kinds in equal numbers."""
    chance = torch.Generator().manual_seed(plan.seed)
    truth = torch.tensor([0.0] * 16 + [1.0] * 16)
    with torch.random.fork_rng(devices=[]):  # dropout draws from the global generator
        torch.manual_seed(plan.seed)
        net = detective().train()
        optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=5e-2)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=plan.steps)
        for _ in range(plan.steps):
            seen = torch.cat([squares(real, 16, plan.crop, chance), squares(generated, 16, plan.crop, chance)])
            loss = functional.binary_cross_entropy_with_logits(net(seen).squeeze(1), truth)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return net.eval()


def told_apart(real: Pixels, generated: Pixels, plan: Examination | None = None) -> Share:
    """The share of held-out pictures that a network trained on the others calls by their right name.

    `real` and `generated` are uint8 (N, H, W, 3) of one size, in an order by chance. To measure the denoiser alone, hand in
    as `real` drawings that went through the autoencoder: its traces are then in both. Raises ValueError for fewer than 10.
    """
    plan = plan or Examination()
    count = min(len(real), len(generated))
    if count < 10 or real.shape[1:] != generated.shape[1:]:
        raise ValueError(f"pictures: at least 10 of each kind and of one size, got {real.shape} and {generated.shape}")
    kept = round(count * plan.held_out)
    drawn, made = as_tensor(real[:count], "cpu"), as_tensor(generated[:count], "cpu")
    net = trained(drawn[kept:], made[kept:], plan)
    with torch.inference_mode():
        said_drawn, said_made = (torch.cat([net(part) for part in kind[:kept].split(16)]).squeeze(1) for kind in (drawn, made))
    return Share.of_counts(int((said_drawn <= 0).sum() + (said_made > 0).sum()), 2 * kept)
