"""The trained parts become one folder in diffusers layout."""

from __future__ import annotations

from pathlib import Path

import torch
from diffusers import AutoencoderKL, ZImagePipeline, ZImageTransformer2DModel
from transformers import Qwen2Tokenizer, Qwen3Model

from demo.training.architecture import build_scheduler
from demo.training.whole_folder import whole_folder


def assemble(work: Path, checkpoint: Path) -> None:
    """Write the parts in `work` (vae, transformer, text_encoder, tokenizer) to `checkpoint` in bfloat16; does nothing when it is there."""
    if checkpoint.exists():
        return
    vae = AutoencoderKL.from_pretrained(work / "vae", local_files_only=True).bfloat16()
    transformer = ZImageTransformer2DModel.from_pretrained(work / "transformer", local_files_only=True).bfloat16()
    for part in (vae, transformer):
        part.register_to_config(_name_or_path="")  # else the config names this machine's folder
    pipeline = ZImagePipeline(
        scheduler=build_scheduler(),
        vae=vae,
        text_encoder=Qwen3Model.from_pretrained(work / "text_encoder", local_files_only=True, dtype=torch.bfloat16),
        tokenizer=Qwen2Tokenizer.from_pretrained(work / "tokenizer", local_files_only=True),
        transformer=transformer,
    )
    with whole_folder(checkpoint) as fresh:
        pipeline.save_pretrained(fresh, safe_serialization=True)
