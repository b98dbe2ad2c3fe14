"""LoRA files: where they lie, what they hash to, and what they must be."""

from __future__ import annotations

from pathlib import Path

from factory.domain.generation_spec import LoraUse
from factory.errors import BadLora, Capacity
from factory.workers.checkpoints import file_sha256, read_header

WEIGHTS = "pytorch_lora_weights.safetensors"


def lora_file(shelf: Path | None, use: LoraUse) -> Path:
    """The file that `use` orders, below `shelf`/name.

    Raises Capacity (no such folder: another worker may have it) and BadLora (no file in it, or not the bytes that were ordered).
    """
    if shelf is None:
        raise Capacity(f"LoRA {use.name!r} was ordered and this worker has no folder of LoRAs; set FACTORY_LORAS_DIR")
    folder = shelf / use.name
    if folder.parent != shelf or use.name in ("", ".", ".."):
        raise BadLora(f"LoRA {use.name!r} is not the name of a folder")
    if not folder.exists():
        raise Capacity(f"this worker has no folder of LoRA {use.name!r}; copy it there, or leave the job to one that has")
    found, _ = measure_lora(folder)
    if found != use.sha256:
        raise BadLora(f"LoRA {use.name!r} on this worker is {found[:12]}, the order says {use.sha256[:12]}; copy it again")
    return folder / WEIGHTS


def measure_lora(folder: Path) -> tuple[str, int]:
    """(SHA-256, bytes) of the one file that counts; others beside it are never read. Raises BadLora unless it is a safetensors file."""
    file = folder / WEIGHTS
    if not file.is_file():
        raise BadLora(f"LoRA {folder.name!r} has no {WEIGHTS}; put the diffusers file of that name there")
    tensor_names(file)
    return file_sha256(file), file.stat().st_size


def tensor_names(file: Path) -> list[str]:
    """From the header alone. Raises BadLora for what is no safetensors file, a pickle above all."""
    try:
        names = [name for name in read_header(file) if name != "__metadata__"]
    except (OSError, ValueError, AttributeError) as error:
        raise BadLora(f"LoRA {file.parent.name!r}: {file.name} is not a safetensors file: {error!r}; convert it") from error
    if not names:
        raise BadLora(f"LoRA {file.parent.name!r}: {file.name} holds no tensors; copy it again")
    return names
