"""draw: prompt → embeddings → latents → pixels, each stage timed, each transformer call counted."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from diffusers import ZImagePipeline

from factory.domain.draft import Pixels
from factory.domain.generation_spec import GenerationSpec
from factory.errors import BadPicture
from factory.workers.engines import OnStep
from factory.workers.engines.zimage.check_order import MAX_TOKENS


@dataclass
class Drawn:
    """`evaluations` counts pictures through the transformer: guidance would show as two a step."""

    pixels: Pixels
    evaluations: int
    seconds: dict[str, float] = field(default_factory=dict)


def draw(pipeline: ZImagePipeline, spec: GenerationSpec, on_step: OnStep) -> Drawn:
    """Raises BadPicture when latents or picture are not finite, and whatever `on_step` raises."""
    with torch.no_grad():
        started = perf_counter()
        embeddings = encode(pipeline, spec.prompt)
        encoded = perf_counter()
        with count_evaluations(pipeline.transformer) as counted:
            latents = denoise(pipeline, spec, embeddings, on_step)
        require_finite(latents, "latents")
        denoised = perf_counter()
        pixels = decode(pipeline, latents)
    seconds = {"encode": encoded - started, "denoise": denoised - encoded, "decode": perf_counter() - denoised}
    return Drawn(pixels, counted.pictures, seconds)


def encode(pipeline: ZImagePipeline, prompt: str) -> list[torch.Tensor]:
    """One (tokens, width) tensor. The list is ours: encode_prompt writes the chat template into the one it is given."""
    embeddings: list[torch.Tensor] = pipeline.encode_prompt([prompt], do_classifier_free_guidance=False, max_sequence_length=MAX_TOKENS)[0]
    return embeddings


def denoise(pipeline: ZImagePipeline, spec: GenerationSpec, embeddings: list[torch.Tensor], on_step: OnStep) -> torch.Tensor:
    """Latents, 1 × 16 × height/8 × width/8, float32. The noise is drawn on the CPU: it is the same on every device."""
    pace = Pace(pipeline.device)

    def after_step(_pipeline: ZImagePipeline, step: int, _timestep: torch.Tensor, tensors: dict[str, Any]) -> dict[str, Any]:
        pace.wait()
        on_step(step + 1, spec.num_inference_steps)
        return tensors

    latents: torch.Tensor = pipeline(
        prompt_embeds=embeddings,
        width=spec.width,
        height=spec.height,
        num_inference_steps=spec.num_inference_steps,
        guidance_scale=spec.guidance_scale,
        generator=torch.Generator("cpu").manual_seed(spec.seed),
        callback_on_step_end=after_step,
        callback_on_step_end_tensor_inputs=[],
        output_type="latent",
    ).images
    return latents


def decode(pipeline: ZImagePipeline, latents: torch.Tensor) -> Pixels:
    """height × width × 3, uint8; rounded on the device, so that a quarter of the bytes cross the bus."""
    vae = pipeline.vae
    image = vae.decode(latents.to(vae.dtype) / vae.config.scaling_factor + vae.config.shift_factor, return_dict=False)[0][0].float()
    require_finite(image, "picture")
    levels = (image / 2 + 0.5).clamp(0, 1).mul(255).round().to(torch.uint8)
    pixels: Pixels = levels.permute(1, 2, 0).contiguous().cpu().numpy()
    return pixels


def require_finite(tensor: torch.Tensor, what: str) -> None:
    """NaN spreads from step to step and ends as a black picture without an error; one sum finds it."""
    if not torch.isfinite(tensor.sum()).item():
        raise BadPicture(f"not finite: {what}; check the weights and the dtype")


@dataclass
class Evaluations:
    pictures: int = 0


@contextmanager
def count_evaluations(transformer: torch.nn.Module) -> Iterator[Evaluations]:
    """Count pictures that pass through the transformer while the block runs."""
    counted = Evaluations()

    def count(_module: torch.nn.Module, inputs: tuple[Any, ...]) -> None:
        counted.pictures += len(inputs[0])

    hook = transformer.register_forward_pre_hook(count)
    try:
        yield counted
    finally:
        hook.remove()


class Pace:
    """Keeps the CPU at most one step ahead of the card, so that progress is true and a stop comes in time."""

    def __init__(self, device: torch.device) -> None:
        self._on_cuda = device.type == "cuda"
        self._previous: torch.cuda.Event | None = None

    def wait(self) -> None:
        """Wait for the step before the one just launched; the card never runs dry."""
        if self._on_cuda:
            launched = torch.cuda.Event()
            launched.record()
            if self._previous is not None:
                self._previous.synchronize()
            self._previous = launched
