"""TemplateBody: one template as people write it: a prompt with typed holes, and how to draw it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from factory.domain.job_order import LoraOrder
from factory.domain.seed_policy import SeedPolicy

TEMPLATE_NAME = r"^[a-z0-9][a-z0-9-]{0,62}$"
CHINESE = re.compile(r"[一-鿿]")
SIZE = re.compile(r"(\d{1,5})\s*[x×*]\s*(\d{1,5})")
LONGEST_NAME = 64

Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Number = int | Finite
Value = str | int | Finite | bool


def _is_name(name: str) -> str:
    if not name.isidentifier() or len(name) > LONGEST_NAME:
        raise ValueError(
            f"a variable's name has letters (Chinese ones too), digits and _, at most {LONGEST_NAME}; {name[:40]!r} does not fit"
        )
    return name


VariableName = Annotated[str, AfterValidator(_is_name)]


class Words(BaseModel):
    """The same said in Chinese, in English, or in both. A plain text is taken for the language that its letters show."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    zh: Line | None = None
    en: Line | None = None

    @model_validator(mode="before")
    @classmethod
    def _plain_text(cls, said: Any) -> Any:
        return {"zh" if CHINESE.search(said) else "en": said} if isinstance(said, str) else said

    @model_validator(mode="after")
    def _something(self) -> Self:
        if not (self.zh or self.en):
            raise ValueError("say it in `zh`, in `en` or in both")
        return self


class Variable(BaseModel):
    """What one hole takes. A `choice` takes one of `allowed`; a `boolean` puts `if_true` or `if_false` into the prompt.

    Without `default` an order must give it. A text whose default is '' may be left out.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["text", "integer", "number", "choice", "boolean"] = "text"
    title: Words | None = None
    allowed: tuple[Value, ...] = Field((), max_length=500)
    default: Value | None = None
    min: Number | None = None
    max: Number | None = None
    max_length: int | None = Field(None, ge=1, le=2000)
    if_true: str | None = Field(None, max_length=500)
    if_false: str | None = Field(None, max_length=500)
    example: Value | None = None


class TemplateBody(BaseModel):
    """What is not said here, the order or the checkpoint says. `size` may stand for width and height; sides are pixels."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=TEMPLATE_NAME)
    title: Words
    description: Words | None = None
    category: str = Field("", max_length=64)
    prompt: str = Field(max_length=4000)
    variables: dict[VariableName, Variable] = Field(default_factory=dict, max_length=64)
    model: str | None = Field(None, min_length=1, max_length=120)
    width: int | None = Field(None, ge=1, le=99_999)
    height: int | None = Field(None, ge=1, le=99_999)
    loras: tuple[LoraOrder, ...] = Field((), max_length=4)
    seed: SeedPolicy = SeedPolicy()
    label_profile: Literal["cn", "eu", "marketplace-clean"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _size_to_sides(cls, sent: Any) -> Any:
        if not isinstance(sent, dict) or "size" not in sent:
            return sent
        rest = {name: value for name, value in sent.items() if name != "size"}
        if sent["size"] is None:
            return rest
        if sent.get("width") is not None or sent.get("height") is not None:
            raise ValueError("give `size`, or `width` and `height`, not both")
        match = SIZE.fullmatch(str(sent["size"]).strip())
        if match is None:
            raise ValueError("`size` must look like 1024x768")
        return rest | {"width": int(match[1]), "height": int(match[2])}

    def as_json(self) -> dict[str, Any]:
        """Only what differs from the defaults, so that a field added later changes no hash."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(orjson.dumps(self.as_json(), option=orjson.OPT_SORT_KEYS)).hexdigest()


@dataclass(frozen=True)
class TemplateVersion:
    """A body under its number: what orders mean."""

    body: TemplateBody
    version: int

    @property
    def reference(self) -> str:
        return f"{self.body.name}@{self.version}"
