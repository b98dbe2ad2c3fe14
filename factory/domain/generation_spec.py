"""GenerationSpec: everything an engine needs to draw one picture, frozen when ordered."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

TURBO_EVALUATIONS = 8
TURBO_GUIDANCE = 0.0


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
    num_inference_steps: int = TURBO_EVALUATIONS
    guidance_scale: float = TURBO_GUIDANCE
    label_profile: Literal["cn", "eu", "marketplace-clean"] = "cn"
    policy_version: str = ""

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(mode="json")
