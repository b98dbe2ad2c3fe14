"""JobOrder: one picture as a customer asks for it. What they wrote is kept word for word as `requested`."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from factory.domain.expiry import Seconds, not_both
from factory.domain.moment import Moment
from factory.domain.status import Priority

SAFE_NAME = r"^[\w一-鿿][\w一-鿿 .()+-]{0,119}$"
EXTERNAL_ID = r"^[A-Za-z0-9._~:@-]{1,128}$"
Short = Annotated[str, StringConstraints(max_length=200)]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=64)]
METADATA_PAIRS = 16
TEMPLATE_REFERENCE = r"^[a-z0-9][a-z0-9-]{0,62}(@[1-9][0-9]{0,5})?$"
Cell = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]


class LoraOrder(BaseModel):
    """One LoRA of an order: a registered name, and how strongly it counts."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(max_length=120)
    scale: float = Field(1.0, ge=-2, le=2, allow_inf_nan=False)


class JobOrder(BaseModel):
    """Field names follow what image APIs commonly call them; sizes are pixels."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    prompt: str | None = Field(None, min_length=1, description="needed unless a template says it")
    template: str | None = Field(None, pattern=TEMPLATE_REFERENCE, description="`name@version`; `name` alone is its newest version")
    vars: dict[Tag, str | int | float | bool] = Field(default_factory=dict, max_length=64, description="what fills the template's holes")
    negative_prompt: str | None = Field(None, max_length=2000)
    model: str | None = Field(None, max_length=120, description="a registered checkpoint; default: the only one, or `default`")
    width: int | None = None
    height: int | None = None
    size: str | None = Field(None, description="`WIDTHxHEIGHT`, instead of width and height")
    loras: list[LoraOrder] | None = Field(None, max_length=4)
    seed: int | None = Field(None, ge=0, le=2**63 - 1)
    num_inference_steps: int | None = Field(None, ge=1, le=1000)
    guidance_scale: float | None = Field(None, ge=0, le=100, allow_inf_nan=False)
    sku: str | None = Field(None, pattern=SAFE_NAME)
    external_id: str | None = Field(None, pattern=EXTERNAL_ID)
    project: str | None = None
    label_profile: Literal["cn", "eu", "marketplace-clean"] = "cn"
    slot: Cell | None = Field(None, description="which picture of the product: main, detail, …")
    locale: Cell | None = None
    candidate: int | None = Field(None, ge=1, le=100, description="one of several pictures of the same slot")
    priority: Priority | None = Field(None, description="interactive for single jobs, bulk for batches, unless said otherwise")
    not_before: Moment | None = Field(None, description="ISO 8601, or seconds from now as `+300s`; until then the order waits")
    deadline: Moment | None = Field(None, description="wanted by then; a single order is told in the reply whether that is likely")
    expires_in: Seconds | None = Field(None, description="seconds from now; what nobody drew by then ends as `expired`")
    expires_at: Moment | None = Field(None, description="the same as a moment, written as `not_before` is; not beside `expires_in`")
    user: Short | None = None
    campaign: Short | None = None
    cost_centre: Short | None = None
    tags: list[Tag] = Field(default_factory=list, max_length=16)
    metadata: dict[Tag, Annotated[str, StringConstraints(max_length=512)]] = Field(default_factory=dict, max_length=METADATA_PAIRS)

    @field_validator("sku")
    @classmethod
    def _no_path(cls, sku: str | None) -> str | None:
        if sku is not None and (".." in sku or not sku.isprintable()):
            raise ValueError("must not contain `..` or control characters")
        return sku

    @model_validator(mode="before")
    @classmethod
    def _no_nul(cls, data: Any) -> Any:
        if isinstance(data, dict):
            for name, value in data.items():
                if isinstance(value, str) and "\x00" in value:
                    raise ValueError(f"field `{name}` holds a NUL character; remove it")
        return data

    @model_validator(mode="after")
    def _something_to_draw(self) -> JobOrder:
        if self.prompt is None and self.template is None:
            raise PydanticCustomError("field_missing", "give `prompt`, or `template` with its `vars`", {"field": "prompt"})
        if self.prompt is not None and self.template is not None:
            raise ValueError("give `prompt` or `template`, not both")
        return self

    @model_validator(mode="after")
    def _one_end(self) -> JobOrder:
        not_both(self.expires_at, self.expires_in)
        return self

    @model_validator(mode="after")
    def _size_to_sides(self) -> JobOrder:
        if self.size is not None:
            if self.width is not None or self.height is not None:
                raise ValueError("give `size`, or `width` and `height`, not both")
            match = re.fullmatch(r"(\d{1,5})[x×*](\d{1,5})", self.size)
            if match is None:
                raise ValueError("`size` must look like 1024x768")
            self.width, self.height = int(match[1]), int(match[2])
        return self
