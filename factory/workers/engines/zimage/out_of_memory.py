"""or_out_of_vram: run something; a full card becomes OutOfVram and the memory is given back at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from factory.errors import OutOfVram
from factory.workers.forget_frames import forget_frames

T = TypeVar("T")


def or_out_of_vram(run: Callable[[], T], doing: str) -> T:
    """What `run()` returns. The traceback of torch's error holds the tensors of every frame, so it is dropped first."""
    try:
        return run()
    except torch.OutOfMemoryError as error:
        forget_frames(error)
        reason = str(error).split(". ")[0]
    # Raised outside the except block: a context would keep torch's error alive.
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    raise OutOfVram(f"the card is full while {doing}: {reason}; use a larger card or a smaller size")
