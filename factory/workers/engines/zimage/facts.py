"""facts_about: what a generation record says about the machine that drew."""

from __future__ import annotations

import platform

import diffusers
import torch


def facts_about(device: torch.device, dtype: torch.dtype) -> dict[str, str]:
    """Engine, device, dtype and library versions: what must be equal for equal pixels."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else f"cpu {platform.machine()}"
    return {
        "engine": "zimage",
        "device": name,
        "dtype": str(dtype).removeprefix("torch."),
        "torch": torch.__version__,
        "diffusers": diffusers.__version__,
    }
