"""WornLoras: the LoRAs that lie on one pipeline, put on and taken off by diffusers' own plain load and unload."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from diffusers import ZImagePipeline

from factory.domain.generation_spec import GenerationSpec, LoraUse
from factory.errors import BadLora
from factory.workers.loras import lora_file, tensor_names

# Two LoRAs at once are meant, and a worker's stderr is JSON, one object a line.
warnings.filterwarnings("ignore", category=UserWarning, module=r"peft\.tuners\.")

PART = "transformer."
MATRICES = frozenset({"A.weight", "B.weight"})


class WornLoras:
    """`shelf` is the folder of LoRA folders. The same files as before stay on; other scales of them are set in place."""

    def __init__(self, pipeline: ZImagePipeline, shelf: Path | None) -> None:
        self._pipeline, self._shelf = pipeline, shelf
        # Asked later, the transformer would name the type of whatever it wears.
        self._dtype: torch.dtype = pipeline.transformer.dtype
        self._worn: tuple[LoraUse, ...] = ()
        self.key = ""

    def wear(self, spec: GenerationSpec) -> bool:
        """Exactly those of `spec` from now on; whether anything had to change. `key` is then its `lora_key`.

        Raises BadLora, Capacity, and whatever torch raises; then none is on.
        """
        wanted = spec.loras
        if wanted == self._worn:
            return False
        try:
            if [use.sha256 for use in wanted] != [use.sha256 for use in self._worn]:
                if self._worn:
                    self._take_off()
                for place, use in enumerate(wanted):
                    self._put_on(use, adapter_name(place, use))
            if wanted:
                names = [adapter_name(place, use) for place, use in enumerate(wanted)]
                self._pipeline.set_adapters(names, adapter_weights=[use.scale for use in wanted])
        except BaseException:
            self._take_off()
            raise
        self._worn, self.key = wanted, spec.lora_key
        return True

    def _take_off(self) -> None:
        """The base layers come back as they were, bit for bit."""
        self._worn, self.key = (), ""
        self._pipeline.unload_lora_weights()

    def _put_on(self, use: LoraUse, name: str) -> None:
        file = lora_file(self._shelf, use)
        named = f"LoRA {use.name!r}"
        how = {"weight_name": file.name, "use_safetensors": True, "local_files_only": True}
        if any("dora_scale" in tensor for tensor in tensor_names(file)):
            raise BadLora(f"{named} is a DoRA; diffusers would leave half of it out")
        try:
            layers = layers_of(named, ZImagePipeline.lora_state_dict(str(file.parent), **how))
            self._check_match(named, layers)
            self._pipeline.load_lora_weights(str(file.parent), adapter_name=name, **how)
        except (BadLora, torch.OutOfMemoryError, MemoryError):
            raise
        except Exception as error:
            raise BadLora(f"{named} does not load: {type(error).__name__}: {error}") from error
        self._check_reached(named, name, layers)

    def _check_match(self, named: str, layers: set[str]) -> None:
        """diffusers only warns of layers that the model does not have, and then draws as if nothing were."""
        known = {name for name, _ in self._pipeline.transformer.named_modules()}
        if strange := sorted(layers - known):
            raise BadLora(
                f"{named} does not match this checkpoint: {len(strange)} of its {len(layers)} layers are not there, such as {strange[0]!r}"
            )

    def _check_reached(self, named: str, name: str, layers: set[str]) -> None:
        """Every layer of the file has both matrices in the model, and in the model's own type."""
        reached = set()
        for place, module in self._pipeline.transformer.named_modules():
            if name in getattr(module, "lora_A", ()):
                reached.add(place)
                for matrix in (module.lora_A[name], module.lora_B[name]):
                    if any(tensor.is_meta for tensor in matrix.parameters()):
                        raise BadLora(f"{named} lacks a matrix of layer {place!r}; copy it again")
                    matrix.to(self._dtype)
        if reached != layers:
            missed = sorted(layers - reached) or sorted(reached - layers)
            raise BadLora(f"{named} reached {len(reached)} of its {len(layers)} layers; {missed[0]!r} is not as the file says")


def adapter_name(place: int, use: LoraUse) -> str:
    """A name that torch takes for a module: a LoRA's own may hold dots."""
    return f"at{place}_{use.sha256[:20]}"


def layers_of(named: str, tensors: Iterable[Any]) -> set[str]:
    """The layers that a LoRA changes, from its tensors' names as diffusers has them: transformer.LAYER.lora_A.weight and lora_B.weight."""
    matrices: dict[str, set[str]] = {}
    for tensor in tensors:
        layer, _, matrix = str(tensor).partition(".lora_")
        if not layer.startswith(PART) or matrix not in MATRICES:
            strange = f"{named}: {str(tensor)[:120]!r} is no lora_A or lora_B matrix of the transformer"
            raise BadLora(f"{strange}; convert the file to the diffusers layout")
        matrices.setdefault(layer.removeprefix(PART), set()).add(matrix)
    if lonely := sorted(layer for layer, found in matrices.items() if found != MATRICES):
        raise BadLora(f"{named}: layer {lonely[0]!r} has only one of its two matrices; copy the file again")
    if not matrices:
        raise BadLora(f"{named} holds no LoRA matrices")
    return set(matrices)
