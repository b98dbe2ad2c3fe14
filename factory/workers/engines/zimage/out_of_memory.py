"""or_out_of_vram: run something; a full card becomes OutOfVram and the memory is given back at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import torch

from factory.errors import OutOfVram
from factory.workers.forget_frames import forget_frames

P = ParamSpec("P")
T = TypeVar("T")


def or_out_of_vram(run: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
    """What `run(*args)` returns. Pass a plain function: a frame keeps its function, hence what a closure holds."""
    try:
        return run(*args, **options)
    except torch.OutOfMemoryError as error:
        # A local that names the error makes a cycle with its traceback, and the tensors of every frame wait for the collector.
        forget_frames(error)
        reason = str(error).split(". ")[0]
    # Raised outside the except block: a context would keep torch's error alive.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise OutOfVram(f"the card is full: {reason}; use a larger card or a smaller size")
