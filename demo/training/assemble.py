"""The trained parts become one folder in diffusers layout."""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from diffusers import AutoencoderKL, ZImagePipeline, ZImageTransformer2DModel
from transformers import Qwen2Tokenizer, Qwen3Model

from demo.training.architecture import build_scheduler


def assemble(work: Path, checkpoint: Path) -> None:
    """Write the parts in `work` (vae, transformer, text_encoder, tokenizer) to `checkpoint`, bfloat16 safetensors, readable by all.

    Does nothing when the folder holds a pipeline; a half-written one never takes its place.
    """
    if (checkpoint / "model_index.json").exists():
        return
    pipeline = ZImagePipeline(
        scheduler=build_scheduler(),
        vae=AutoencoderKL.from_pretrained(work / "vae", local_files_only=True).bfloat16(),
        text_encoder=Qwen3Model.from_pretrained(work / "text_encoder", local_files_only=True, dtype=torch.bfloat16),
        tokenizer=Qwen2Tokenizer.from_pretrained(work / "tokenizer", local_files_only=True),
        transformer=ZImageTransformer2DModel.from_pretrained(work / "transformer", local_files_only=True).bfloat16(),
    )
    fresh = work / "assembled"
    shutil.rmtree(fresh, ignore_errors=True)
    pipeline.save_pretrained(fresh, safe_serialization=True)
    for file in fresh.rglob("*"):
        file.chmod(0o755 if file.is_dir() else 0o644)
    shutil.rmtree(checkpoint, ignore_errors=True)
    shutil.copytree(fresh, checkpoint)
