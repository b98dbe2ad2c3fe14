"""How much memory pipelines may take on this machine."""

from __future__ import annotations

# Activations at 1024² (VAE decode 1.5 GiB, transformer 0.5 GiB), allocator slack and the CUDA context stay out of the cache's budget.
KEPT_FREE = 4 << 30
WITHOUT_CARD = 4 << 30


def vram_budget() -> int:
    """Bytes for the pipeline cache: the card's memory less what drawing takes, or 4 GiB of RAM where there is no card."""
    try:
        import torch
    except (ImportError, OSError):
        return WITHOUT_CARD
    if not torch.cuda.is_available():
        return WITHOUT_CARD
    total: int = torch.cuda.get_device_properties(0).total_memory
    return max(0, total - KEPT_FREE)
