"""Muon for weights of any rank: torch.optim.Muon takes matrices only and orthogonalises them one by one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable

import torch
from torch import Tensor

# Quintic Newton-Schulz iteration, coefficients of https://kellerjordan.github.io/posts/muon/ (as torch.optim.Muon has them).
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315
ITERATIONS = 5


def orthogonalised(matrices: Tensor) -> Tensor:
    """About U V^T of each matrix's singular value decomposition; `matrices` is (count, rows, columns), any float dtype."""
    tall = matrices.shape[1] > matrices.shape[2]
    wide = matrices.mT if tall else matrices
    wide = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=CUBIC, alpha=QUINTIC), wide, beta=LINEAR)
    return wide.mT if tall else wide


class Muon(torch.optim.Optimizer):
    """Momentum (Nesterov) whose step is orthogonalised; a weight (out, a, b, …) counts as the matrix (out, a*b*…).

    Weights of one shape are orthogonalised together. The step is multiplied by sqrt(max(1, rows / columns)). `dtype` is the
    precision of the iteration: bfloat16 is enough, but slower on a CPU for matrices below about 100 rows. Raises ValueError for
    parameters with fewer than two dimensions.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        *,
        lr: float = 0.02,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        super().__init__(params, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})
        self.dtype = dtype
        if any(weight.ndim < 2 for group in self.param_groups for weight in group["params"]):
            raise ValueError("Muon is for matrices; give vectors to another optimizer")

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One update of every weight that has a gradient; returns what `closure` returned."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            alike: defaultdict[tuple[int, ...], list[Tensor]] = defaultdict(list)
            for weight in group["params"]:
                if weight.grad is not None:
                    alike[(weight.shape[0], weight[0].numel())].append(weight)
            for shape, weights in alike.items():
                self._update(shape, weights, group["lr"], group["momentum"], group["weight_decay"])
        return loss

    def _update(self, shape: tuple[int, ...], weights: list[Tensor], lr: float, momentum: float, weight_decay: float) -> None:
        gradients = [weight.grad for weight in weights]
        for weight in weights:
            if "momentum_buffer" not in self.state[weight]:
                self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        buffers = [self.state[weight]["momentum_buffer"] for weight in weights]
        torch._foreach_lerp_(buffers, gradients, 1 - momentum)  # as torch's own optimizers do
        ahead = torch._foreach_lerp(gradients, buffers, momentum)  # noqa: SLF001
        steps = orthogonalised(torch.stack([each.reshape(shape) for each in ahead]).to(self.dtype))
        pace = lr * max(1.0, shape[0] / shape[1]) ** 0.5
        for weight, step in zip(weights, steps, strict=True):
            weight.mul_(1 - lr * weight_decay).add_(step.reshape(weight.shape), alpha=-pace)
