"""Catalogue: which pictures a shop should have: every row in every slot, size, locale and candidate. Said once, true for ever."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, model_validator

from factory.domain.expiry import Seconds, not_both
from factory.domain.job_order import METADATA_PAIRS, SAFE_NAME, TEMPLATE_REFERENCE, Cell, LoraOrder, Short, Tag
from factory.domain.moment import Moment
from factory.domain.status import Priority

SIZE = re.compile(r"([1-9]\d{1,4})\s*[x×*X]\s*([1-9]\d{1,4})")
DEFAULT_SLOT = "main"


def _size(text: str) -> str:
    match = SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError("a size must look like 1024x768")
    return f"{match[1]}x{match[2]}"


def _named(sent: Any) -> Any:
    """`[main, detail]` and `{main: , detail: {…}}` mean the same."""
    if isinstance(sent, list):
        if len(texts := [item for item in sent if isinstance(item, str)]) != len(sent):
            raise ValueError("a list holds names; to say more of one, write `name: {…}`")
        if len(set(texts)) != len(texts):
            raise ValueError("a name stands in the list twice")
        return {name: {} for name in texts}
    return {name: {} if value is None else value for name, value in sent.items()} if isinstance(sent, dict) else sent


def _unlike(sizes: list[str]) -> list[str]:
    if len(set(sizes)) != len(sizes):
        raise ValueError("a size stands in the list twice")
    return sizes


Name = Annotated[str, StringConstraints(min_length=1, max_length=200)]
Size = Annotated[str, AfterValidator(_size)]
Vars = Annotated[dict[Tag, str | int | float | bool], Field(max_length=64)]


class Combine(StrEnum):
    """`cross`: each slot in each size and locale. `zip`: the first slot in the first size and locale, the second in the second, …"""

    CROSS = "cross"
    ZIP = "zip"


class Slot(BaseModel):
    """One place for a picture of the product. What it does not say, the catalogue says. Its own size stands instead of `sizes`."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    template: str | None = Field(None, pattern=TEMPLATE_REFERENCE)
    size: Size | None = None
    vars: Vars = Field(default_factory=dict)


class Catalogue(BaseModel):
    """`rows` is a list, or the name of a file sent beside this one. Variables: a row's win over its slot's, its locale's, the catalogue's."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    name: str = Field(pattern=SAFE_NAME, max_length=64, description="pictures belong to the catalogue of this name: keep it")
    project: str = "default"
    template: str | None = Field(None, pattern=TEMPLATE_REFERENCE)
    vars: Vars = Field(default_factory=dict)
    rows: list[Any] | str | None = None
    slots: Annotated[dict[Cell, Slot], BeforeValidator(_named)] = Field(
        default_factory=lambda: {DEFAULT_SLOT: Slot()}, min_length=1, max_length=50
    )
    sizes: Annotated[list[Size], AfterValidator(_unlike)] = Field(default_factory=list, max_length=20)
    locales: Annotated[dict[Cell, Vars], BeforeValidator(_named)] = Field(default_factory=dict, max_length=50)
    candidates: int = Field(1, ge=1, le=100)
    combine: Combine = Combine.CROSS
    model: str | None = Field(None, max_length=120)
    loras: list[LoraOrder] | None = Field(None, max_length=4)
    label_profile: Literal["cn", "eu", "marketplace-clean"] | None = None
    priority: Priority | None = None
    not_before: Moment | None = None
    deadline: Moment | None = None
    expires_in: Seconds | None = Field(None, description="seconds after each order; what nobody drew by then ends as `expired`")
    expires_at: Moment | None = Field(None, description="the same as a moment; not beside `expires_in`")
    retention: str = "standard"
    map: dict[Name, Name] = Field(default_factory=dict, max_length=200, description="column → field, vars.NAME, metadata.NAME or -")
    sheet: str | None = Field(None, min_length=1, max_length=200, description="of a workbook; the first visible one, unless said otherwise")
    user: Short | None = None
    campaign: Short | None = None
    cost_centre: Short | None = None
    tags: list[Tag] = Field(default_factory=list, max_length=16)
    metadata: dict[Tag, Annotated[str, StringConstraints(max_length=512)]] = Field(default_factory=dict, max_length=METADATA_PAIRS)

    @model_validator(mode="after")
    def _one_end(self) -> Self:
        not_both(self.expires_at, self.expires_in)
        return self

    @model_validator(mode="after")
    def _zips(self) -> Self:
        if self.combine is Combine.CROSS:
            return self
        lengths = {name: len(getattr(self, name)) for name in ("slots", "sizes", "locales") if name in self.model_fields_set}
        if len(set(lengths.values())) > 1:
            said = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise ValueError(f"combine: zip needs lists of one length; {said}; make them equal, or use `combine: cross`")
        if self.sizes and any(slot.size for slot in self.slots.values()):
            raise ValueError("combine: zip takes each slot's size from `sizes`; leave out the slots' own")
        return self
