"""The matrix: rows × slots × sizes × locales × candidates, one cell at a time. Counting it expands nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, product
from typing import Any

from factory.domain.catalogue import Catalogue, Combine
from factory.domain.job_order import JobOrder
from factory.domain.seed_policy import seed_in_catalogue, series_of
from factory.domain.template_body import TemplateVersion
from factory.errors import Problem

# What the catalogue decides for each cell, or what would make a second order of a cell impossible.
NOT_OF_A_ROW = (
    "slot",
    "size",
    "width",
    "height",
    "locale",
    "candidate",
    "external_id",
    "project",
    "not_before",
    "deadline",
    "expires_at",
    "priority",
)
OF_AN_ORDER = frozenset(JobOrder.model_fields)
FROM_THE_CATALOGUE = ("model", "loras", "label_profile", "campaign")
FindTemplate = Callable[[str], TemplateVersion | None]


@dataclass(frozen=True)
class Variant:
    """What one cell has beside its row: a slot in a size for a locale, one of several candidates. '' says nothing."""

    slot: str
    size: str
    locale: str
    candidate: int

    def key(self, sku: str) -> str:
        """The place in the catalogue. None of its parts can hold a bar."""
        return f"{sku}|{self.slot}|{self.size}|{self.locale}|{self.candidate}"


@dataclass(frozen=True)
class MatrixCell:
    """`order` is a JobOrder, not yet checked."""

    key: str
    order: dict[str, Any]


def count(catalogue: Catalogue) -> int:
    """How many cells each row has."""
    slots, sizes, locales = catalogue.slots, len(catalogue.sizes) or 1, len(catalogue.locales) or 1
    if catalogue.combine is Combine.ZIP:
        return max(len(slots), sizes, locales) * catalogue.candidates
    own = sum(1 for slot in slots.values() if slot.size)
    return (own + (len(slots) - own) * sizes) * locales * catalogue.candidates


def describe(catalogue: Catalogue, rows: int) -> str:
    """The count as a sum that a person can check."""
    axes = {"slots": len(catalogue.slots), "sizes": len(catalogue.sizes), "locales": len(catalogue.locales)}
    said = " × ".join(f"{number} {name}" for name, number in axes.items() if number > 1)
    return f"{rows} rows" + (f" × {said}" if said else "") + (f" × {catalogue.candidates} candidates" if catalogue.candidates > 1 else "")


def variants(catalogue: Catalogue) -> Iterator[Variant]:
    """In the order of the file: slots outermost, candidates innermost."""
    numbers = range(1, catalogue.candidates + 1)
    sizes, locales = catalogue.sizes or [""], list(catalogue.locales) or [""]
    if catalogue.combine is Combine.ZIP:
        length = max(len(catalogue.slots), len(catalogue.sizes), len(catalogue.locales))
        axes = (axis * (1 if len(axis) == length else length) for axis in (list(catalogue.slots), sizes, locales))
        places: Iterator[tuple[str, str, str]] = (
            (slot, catalogue.slots[slot].size or size, locale) for slot, size, locale in zip(*axes, strict=True)
        )
    else:
        places = chain.from_iterable(
            product([name], [slot.size] if slot.size else sizes, locales) for name, slot in catalogue.slots.items()
        )
    return (Variant(slot, size, locale, number) for (slot, size, locale), number in product(places, numbers))


def cells(catalogue: Catalogue, row: Mapping[str, Any], find: FindTemplate) -> Iterator[MatrixCell]:
    """The cells of one row that `row_problems` finds nothing wrong with. `find` looks a template up, None where there is none.

    What a row says for the template of one slot does not trouble those of the others. A seed that would be left to chance follows
    from catalogue, series, SKU, slot and candidate, so that the same cell is the same picture tomorrow, in every language and size.
    """
    said = {name: value for name, value in row.items() if value is not None}
    sku = str(said["sku"]).strip()
    given = {name: value for name, value in said.items() if name in OF_AN_ORDER and name != "vars"} | {"sku": sku}
    own = {name: value for name, value in said.items() if name not in OF_AN_ORDER} | dict(said.get("vars") or {})
    for name in FROM_THE_CATALOGUE:
        if (value := getattr(catalogue, name)) is not None:
            given.setdefault(name, [use.model_dump() for use in value] if name == "loras" else value)
    names = {slot: place.template or given.get("template") or _shared_template(catalogue, given) for slot, place in catalogue.slots.items()}
    bodies = {name: version.body for name in set(names.values()) if name and (version := find(name))}
    elsewhere = {name for body in bodies.values() for name in body.variables}
    series = series_of(given.get("campaign"), catalogue.campaign, projects=[catalogue.project])
    for variant in variants(catalogue):
        template = names[variant.slot]
        body = bodies.get(template or "")
        places = {"slot": variant.slot, "candidate": variant.candidate, "size": variant.size or None, "locale": variant.locale or None}
        order = given | {name: value for name, value in places.items() if value is not None}
        if template:
            whole = {**catalogue.vars, **catalogue.locales.get(variant.locale, {}), **catalogue.slots[variant.slot].vars, **own}
            fitting = {name: value for name, value in whole.items() if body is None or name in body.variables or name not in elsewhere}
            order |= {"template": template, "vars": {name: value for name, value in fitting.items() if value is not None}}
        if order.get("seed") is None and (body is None or body.seed.policy == "random"):
            order["seed"] = seed_in_catalogue(
                catalogue=catalogue.name, series=series, sku=sku, slot=variant.slot, candidate=variant.candidate
            )
        yield MatrixCell(variant.key(sku), order)


def _shared_template(catalogue: Catalogue, given: Mapping[str, Any]) -> str | None:
    return None if "prompt" in given else catalogue.template


def row_problems(row: Any) -> list[Problem]:
    """What keeps a whole row out of a catalogue; what is wrong with a single cell shows when its order is checked."""
    if not isinstance(row, Mapping):
        return [Problem("not_an_object", f"a row is an object with fields, not {type(row).__name__}")]
    sku = row.get("sku")
    if sku is None or str(sku).strip() == "":
        message = "sku is missing; a catalogue finds its pictures by it, so each row needs its own"
        return [Problem("catalogue_row_without_sku", message, "/sku")]
    if isinstance(sku, bool) or not isinstance(sku, str | int):
        return [Problem("wrong_type", f"sku {sku!r} is no text; put it in quotes", "/sku", sku)]
    if not isinstance(row.get("vars") or {}, Mapping):
        return [Problem("wrong_type", "vars must be an object of names and values", "/vars")]
    return [
        Problem("catalogue_decides", f"{name} is for the catalogue to say, not for a row; leave it out of the row", f"/{name}", row[name])
        for name in NOT_OF_A_ROW
        if row.get(name) is not None
    ]
