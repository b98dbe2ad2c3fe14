"""The judge: a small network that names item, colour and background of a picture. It checks what was drawn, not how well."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional

from demo.shop.pixels import Pixels

SHIPPED = Path(__file__).with_name("judge.safetensors")
SIDE = 64
CLASSES = 10
QUESTIONS = ("object", "colour", "background")

Answers = npt.NDArray[np.int64]


def network() -> nn.Sequential:
    """(N, 3, 64, 64) in -0.5 … 0.5 → (N, 30) logits: ten for the object, ten for the colour, ten for the background."""
    layers: list[nn.Module] = []
    for inner, outer in itertools.pairwise((3, 24, 48, 64, 96)):
        layers += [nn.Conv2d(inner, outer, 3, padding=1, bias=False), nn.BatchNorm2d(outer), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(96 * (SIDE // 16) ** 2, len(QUESTIONS) * CLASSES))


def shrunk(pictures: Pixels) -> torch.Tensor:
    """Pictures of any size, uint8 (N, H, W, 3), as what the network sees: area means, (N, 3, 64, 64) in -0.5 … 0.5."""
    if pictures.ndim != 4 or pictures.shape[-1] != 3 or pictures.dtype != np.uint8:
        raise ValueError(f"pictures: expected uint8 (N, H, W, 3), got {pictures.dtype} {pictures.shape}")
    values = torch.from_numpy(pictures.copy()).permute(0, 3, 1, 2).float() / 255 - 0.5
    return functional.interpolate(values, (SIDE, SIDE), mode="area")


class Judge:
    """Answers with indices into `demo.shop.goods.OBJECTS`, `COLOURS` and `BACKGROUNDS`."""

    def __init__(self, net: nn.Sequential) -> None:
        self._network = net.eval()

    @classmethod
    def from_file(cls, path: Path = SHIPPED) -> Judge:
        """The weights that `demo.training.judge` wrote, read as float32. Raises FileNotFoundError, and ValueError for other weights."""
        net = network()
        odd = net.load_state_dict({name: value.float() for name, value in load_file(path).items()}, strict=False)
        if odd.unexpected_keys or any(not name.endswith("num_batches_tracked") for name in odd.missing_keys):
            raise ValueError(f"{path}: not the judge's weights (missing {odd.missing_keys}, unknown {odd.unexpected_keys})")
        return cls(net)

    def judge(self, pictures: Pixels, *, batch: int = 100) -> Answers:
        """(N, 3) indices of object, colour and background for uint8 pictures (N, H, W, 3). Raises ValueError for other arrays."""
        with torch.inference_mode():
            parts = [self._network(shrunk(pictures[start : start + batch])) for start in range(0, len(pictures), batch)]
        if not parts:
            return np.zeros((0, len(QUESTIONS)), np.int64)
        best = torch.cat(parts).view(-1, len(QUESTIONS), CLASSES).argmax(dim=2)
        return np.asarray(best.numpy(), np.int64)
