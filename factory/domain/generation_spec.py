"""GenerationSpec: everything an engine needs to draw one picture, frozen when ordered."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict

TURBO_EVALUATIONS = 8
TURBO_GUIDANCE = 0.0


class LoraUse(BaseModel):
    """One LoRA as ordered: `scale` multiplies its weights, `sha256` freezes its file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    sha256: str
    scale: float = 1.0


class GenerationSpec(BaseModel):
    """The effective parameters of one picture. Workers read nothing else.

    `width` and `height` are pixels, multiples of 16. `seed` is 0 … 2**63-1. `checkpoint_sha256` freezes the
    weights that were ordered; a worker that finds others on its disk fails the job.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    prompt: str
    checkpoint: str
    checkpoint_sha256: str
    engine: str
    width: int
    height: int
    seed: int
    loras: tuple[LoraUse, ...] = ()
    num_inference_steps: int = TURBO_EVALUATIONS
    guidance_scale: float = TURBO_GUIDANCE
    label_profile: Literal["cn", "eu", "marketplace-clean"] = "cn"
    policy_version: str = ""

    @property
    def lora_key(self) -> str:
        """The same for the same LoRAs at the same scales: what a worker has to load. '' without any."""
        return ",".join(f"{use.name}:{use.sha256[:12]}@{use.scale:g}" for use in self.loras)

    @property
    def sha256(self) -> str:
        """Equal for two orders that must give the same picture with the same label. Under which rules they were taken does not count."""
        return sha256_of(self.as_json())

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")


def sha256_of(spec: Mapping[str, Any]) -> str:
    """`GenerationSpec.sha256` of what `as_json` gave, for those who need both."""
    counts = {name: value for name, value in spec.items() if name != "policy_version"}
    return hashlib.sha256(orjson.dumps(counts, option=orjson.OPT_SORT_KEYS)).hexdigest()
