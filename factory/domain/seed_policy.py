"""SeedPolicy: where a picture's seed comes from when the order names none."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Literal, Self

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

# JavaScript and spreadsheets hold integers exactly up to 2**53: a seed that is read back must draw the same picture.
SEED_BITS = 53


class SeedPolicy(BaseModel):
    """`fixed` draws with `value`, its further candidates with the numbers after it. `per_sku`: a product keeps its look in every picture
    of a slot. `per_series`: all products of a template share one. A bare number means fixed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policy: Literal["random", "fixed", "per_sku", "per_series"] = "random"
    value: int | None = Field(None, ge=0, lt=2**SEED_BITS)

    @model_validator(mode="before")
    @classmethod
    def _short(cls, said: Any) -> Any:
        if isinstance(said, str):
            return {"policy": said}
        return {"policy": "fixed", "value": said} if isinstance(said, int) and not isinstance(said, bool) else said

    @model_validator(mode="after")
    def _value_where_fixed(self) -> Self:
        if (self.policy == "fixed") != (self.value is not None):
            raise ValueError("`policy: fixed` needs a `value`, the others take none")
        return self


def derived_seed(*parts: str | int | None) -> int:
    """The first 53 bits of SHA-256 over `parts`: the same parts give the same seed, for ever and everywhere."""
    return int.from_bytes(hashlib.sha256(orjson.dumps(parts)).digest()[:7], "big") >> (56 - SEED_BITS)


def series_of(*campaigns: Any, projects: Sequence[str | None] = ()) -> str:
    """Within what derived seeds are the same: the first campaign that is said, the row's before the whole order's; else its project."""
    said = (str(name).strip() for name in (*campaigns, *projects) if name is not None)
    return next((name for name in said if name), "default")


def seed_in_catalogue(*, catalogue: str, series: str, sku: str, slot: str, candidate: int) -> int:
    """Instead of chance: a cell is the same picture tomorrow, with one look in every language and size."""
    return derived_seed("catalogue", catalogue, series, sku, slot, candidate)


def seed_by_policy(rule: SeedPolicy, *, series: str, template: str, sku: str | None, slot: str | None, candidate: int | None) -> int | None:
    """None: the policy leaves it to chance, or wants a SKU and there is none. `series` is what `series_of` says.

    What is left out counts as what orders call it by default: a single job and a catalogue's row of one product draw alike.
    """
    number = candidate or 1
    if rule.value is not None:
        return (rule.value + number - 1) % (1 << SEED_BITS)
    if rule.policy == "per_series":
        return derived_seed("series", series, template, number)
    if rule.policy == "per_sku" and sku is not None:
        return derived_seed("sku", series, sku, slot or "main", number)
    return None
