"""The judge's training: drawn pictures, and the same drawings as the autoencoder gives them back."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from diffusers import AutoencoderKL
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional

from demo.judge import QUESTIONS, SHIPPED, SIDE, Answers, Judge, network, shrunk
from demo.shop.goods import BACKGROUNDS, COLOURS, OBJECTS, Scene
from demo.shop.picture import draw
from demo.shop.pixels import Pixels
from demo.training.reconstruct import reconstruct
from demo.training.whole_folder import whole_folder

FIRST_SEED = 1 << 40  # far above the corpora's
SHIFT = 3  # pixels of 64: more freedom of place than the drawings have, for generated pictures take it


@dataclass(frozen=True)
class Lessons:
    """How much the judge sees: drawings of 128² and 256², every third once more through the autoencoder, and steps of 64 pictures."""

    small: int = 4000
    large: int = 1200
    steps: int = 800
    seed: int = 7


def scenes_of(count: int, seed: int) -> list[Scene]:
    """`count` scenes; items, colours and backgrounds by chance, poses that no other part of the training uses."""
    chance = random.Random(seed)
    return [
        Scene(
            item=chance.randrange(len(OBJECTS)),
            colour=chance.randrange(len(COLOURS)),
            background=chance.randrange(len(BACKGROUNDS)),
            seed=FIRST_SEED + chance.randrange(FIRST_SEED),
        )
        for _ in range(count)
    ]


def answers_of(scenes: list[Scene]) -> Answers:
    """What a perfect judge says: (N, 3)."""
    return np.array([(scene.item, scene.colour, scene.background) for scene in scenes], np.int64).reshape(-1, len(QUESTIONS))


def right_shares(said: Answers, true: Answers) -> dict[str, float]:
    """Shares 0 … 1 of right answers: to each question, and to all three at once."""
    right = said == true
    return {**{question: float(right[:, place].mean()) for place, question in enumerate(QUESTIONS)}, "all": float(right.all(axis=1).mean())}


def lesson(count: int, side: int, seed: int, vae: AutoencoderKL | None) -> tuple[torch.Tensor, torch.Tensor]:
    """Shrunk pictures (N, 3, 64, 64) and answers (N, 3): `count` drawn ones and, with a `vae`, a third of them reconstructed."""
    scenes = scenes_of(count, seed)
    shown: list[torch.Tensor] = []
    for start in range(0, count, 250):  # 250 pictures of 256² are 49 MB
        drawn = np.stack([draw(scene, side) for scene in scenes[start : start + 250]])
        shown.append(shrunk(drawn))
    again = scenes[: count // 3] if vae is not None else []
    for start in range(0, len(again), 250):
        drawn = np.stack([draw(scene, side) for scene in again[start : start + 250]])
        shown.append(shrunk(reconstruct(vae, drawn)))
    return torch.cat(shown), torch.from_numpy(answers_of([*scenes, *again]))


def varied(pictures: torch.Tensor, chance: torch.Generator) -> torch.Tensor:
    """The batch moved by up to SHIFT pixels, every second time blurred, and with a little noise."""
    across, down = torch.randint(0, 2 * SHIFT + 1, (2,), generator=chance).tolist()
    moved = functional.pad(pictures, (SHIFT,) * 4, mode="replicate")[..., down : down + SIDE, across : across + SIDE]
    if torch.rand((), generator=chance) < 0.5:
        moved = functional.avg_pool2d(functional.pad(moved, (1, 1, 1, 1), mode="replicate"), 3, stride=1)
    return moved + 0.02 * torch.randn(moved.shape, generator=chance)


def taught(pictures: torch.Tensor, answers: torch.Tensor, lessons: Lessons) -> nn.Sequential:
    """A network that has seen `lessons.steps` batches of 64. The same arguments give the same network."""
    chance = torch.Generator().manual_seed(lessons.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(lessons.seed)
        net = network().train()
    optimizer = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=lessons.steps)
    for _ in range(lessons.steps):
        picked = torch.randint(0, len(pictures), (64,), generator=chance)
        logits = net(varied(pictures[picked], chance)).view(64, len(QUESTIONS), -1)
        loss = functional.cross_entropy(logits.transpose(1, 2), answers[picked])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    return net


def train_judge(vae: AutoencoderKL | None, folder: Path, lessons: Lessons | None = None) -> None:
    """Train and write the weights, float16, into `folder`; does nothing when it is there. Prints the shares right on fresh drawings."""
    if folder.exists():
        return
    lessons = lessons or Lessons()
    small, large = lesson(lessons.small, 128, lessons.seed, vae), lesson(lessons.large, 256, lessons.seed + 1, vae)
    net = taught(torch.cat([small[0], large[0]]), torch.cat([small[1], large[1]]), lessons)
    with whole_folder(folder) as fresh:
        save_file({name: value.half() for name, value in net.state_dict().items() if value.is_floating_point()}, fresh / SHIPPED.name)
    print("judge, right on fresh drawings:", marks(Judge.from_file(folder / SHIPPED.name), lessons.seed + 2), flush=True)


def marks(judge: Judge, seed: int, count: int = 500) -> dict[str, float]:
    """Shares right on `count` fresh drawings of 128² and as many of 256²."""
    said, true = [], []
    for side in (128, 256):
        scenes = scenes_of(count, seed + side)
        for start in range(0, count, 250):
            pictures: Pixels = np.stack([draw(scene, side) for scene in scenes[start : start + 250]])
            said.append(judge.judge(pictures))
        true.append(answers_of(scenes))
    return right_shares(np.concatenate(said), np.concatenate(true))
