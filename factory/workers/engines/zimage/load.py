"""load_folder: a diffusers folder becomes a pipeline, and a folder that is not whole becomes an error."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from diffusers import ZImagePipeline
from diffusers.utils import logging as diffusers_logging
from transformers.utils import logging as transformers_logging

from factory.errors import BadCheckpoint
from factory.workers.checkpoints import refuse_code, tensor_shapes

# A worker's stderr is JSON, one object a line.
diffusers_logging.disable_progress_bar()
transformers_logging.disable_progress_bar()

WEIGHTED = ("transformer", "text_encoder", "vae")


def load_folder(path: Path, device: torch.device, dtype: torch.dtype) -> ZImagePipeline:
    """Load without network, pickles or code. Raises BadCheckpoint; torch.OutOfMemoryError passes."""
    refuse_code(path)
    _check_index(path)
    try:
        # Without a dtype, diffusers takes float32 for two parts of three, and it runs.
        pipeline = ZImagePipeline.from_pretrained(str(path), dtype=dtype, local_files_only=True, use_safetensors=True)
    except (torch.OutOfMemoryError, MemoryError):
        raise
    except Exception as error:
        raise BadCheckpoint(f"checkpoint {path.name!r} does not load: {type(error).__name__}: {error}") from error
    for part in WEIGHTED:
        _check_whole(getattr(pipeline, part), path / part, dtype)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _check_index(path: Path) -> None:
    try:
        index = json.loads((path / "model_index.json").read_bytes())
    except (OSError, ValueError) as error:
        raise BadCheckpoint(f"checkpoint {path.name!r} has no readable model_index.json: {error}") from error
    if index.get("_class_name") != "ZImagePipeline":
        raise BadCheckpoint(f"checkpoint {path.name!r} is for {index.get('_class_name')!r}; engine 'zimage' loads ZImagePipeline")


def _check_whole(module: torch.nn.Module, folder: Path, dtype: torch.dtype) -> None:
    """A tensor that no file holds stays on `meta` (diffusers) or is drawn at random (transformers); neither raises."""
    stored = tensor_shapes(folder)
    for name, tensor in module.state_dict().items():
        if tensor.is_meta or not (name in stored or f"model.{name}" in stored):
            raise BadCheckpoint(f"checkpoint {folder.parent.name!r} lacks the tensor {folder.name}/{name}; copy it again")
        if tensor.is_floating_point() and tensor.dtype != dtype:
            raise BadCheckpoint(f"{folder.name}/{name} came up as {tensor.dtype}, not {dtype}")
