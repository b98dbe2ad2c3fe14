"""ZImageEngine: Z-Image-Turbo through the ZImagePipeline of diffusers, as the library gives it."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import torch
from diffusers import ZImagePipeline

from factory.domain.draft import Picture
from factory.domain.generation_spec import GenerationSpec
from factory.workers import checkpoints
from factory.workers.engines import OnStep
from factory.workers.engines.zimage.check_order import check_order
from factory.workers.engines.zimage.draw import draw
from factory.workers.engines.zimage.facts import facts_about
from factory.workers.engines.zimage.load import load_folder
from factory.workers.engines.zimage.loras import WornLoras
from factory.workers.engines.zimage.out_of_memory import or_out_of_vram


class ZImageEngine:
    """bfloat16 on CUDA, float32 on a CPU; never float16, which turns this model's pictures black (Tongyi-MAI/Z-Image#14).

    `loras` is the folder of LoRA folders.
    """

    def __init__(self, device: str = "auto", loras: Path | None = None) -> None:
        self.loras = loras
        chosen = ("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device
        self.device = torch.device(chosen)
        self.dtype = torch.bfloat16 if self.device.type == "cuda" else torch.float32

    def footprint(self, path: Path) -> int:
        """Parameters × bytes of the target dtype, from the headers; buffers that are not stored add under 1 KB."""
        return checkpoints.footprint(path, float_bytes=self.dtype.itemsize)

    def load(self, path: Path) -> LoadedZImage:
        """Raises BadCheckpoint, OutOfVram."""
        loaded = or_out_of_vram(load_folder, path, self.device, self.dtype)
        return LoadedZImage(loaded, facts_about(self.device, self.dtype), self.loras)


class LoadedZImage:
    """One checkpoint in memory. Its scheduler holds state, so one thread at a time (diffusers#3672)."""

    def __init__(self, pipeline: ZImagePipeline, facts: dict[str, str], loras: Path | None = None) -> None:
        self.pipeline = pipeline
        self.facts = facts
        self.loras = WornLoras(pipeline, loras)
        self.bytes = sum(tensor.nbytes for module in modules_of(pipeline) for tensor in (*module.parameters(), *module.buffers()))

    def generate(self, spec: GenerationSpec, *, on_step: OnStep) -> Picture:
        """Raises Permanent for an order that this model cannot serve, BadLora, BadPicture, Capacity, and what `on_step` raises."""
        check_order(self.pipeline.tokenizer, spec)
        asked = perf_counter()
        has_changed = or_out_of_vram(self.loras.wear, spec)
        dressing = {"lora": perf_counter() - asked} if has_changed else {}
        drawn = or_out_of_vram(draw, self.pipeline, spec, on_step)
        return Picture(drawn.pixels, drawn.evaluations, {**dressing, **drawn.seconds}, dict(self.facts))

    @property
    def lora_key(self) -> str:
        """As a spec's `lora_key`: what lies on the checkpoint now."""
        return self.loras.key


def modules_of(pipeline: ZImagePipeline) -> tuple[torch.nn.Module, ...]:
    """The parts that have weights."""
    return pipeline.transformer, pipeline.text_encoder, pipeline.vae
