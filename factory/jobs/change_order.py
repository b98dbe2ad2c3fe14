"""change_order: what a customer wrote once, with some of it said anew."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from factory.errors import Invalid, Problem

# How a picture is drawn and when, never what it is of or whose: those make it the same row of the same order.
CHANGEABLE = frozenset(
    {
        "prompt",
        "template",
        "vars",
        "negative_prompt",
        "model",
        "size",
        "width",
        "height",
        "loras",
        "seed",
        "num_inference_steps",
        "guidance_scale",
        "label_profile",
        "priority",
        "not_before",
        "deadline",
        "expires_in",
        "expires_at",
    }
)
SIDES = ("width", "height")
EXPIRES = frozenset({"expires_at", "expires_in"})


def check_changes(names: Iterable[str]) -> None:
    """Raises Invalid that names what cannot be changed."""
    if unknown := sorted(set(names) - CHANGEABLE):
        known = ", ".join(sorted(CHANGEABLE))
        problems = [
            Problem("unknown_field", f"{name[:60]!r} cannot be changed in a retry; what can: {known}", f"/changes/{name[:60]}")
            for name in unknown
        ]
        raise Invalid(None, *problems)


def change_order(requested: Mapping[str, Any], changes: Mapping[str, Any], *, template: str | None = None) -> dict[str, Any]:
    """The order to admit anew. `template` is the version that it was drawn with: a retry does not drift to a newer one.

    A change to null takes back what was said. `vars` are changed one by one. A prompt takes the place of a template and the other
    way round; a size that of width and height; `expires_at` and `expires_in` that of each other.
    """
    order = dict(requested)
    if template is not None and order.get("template") is not None:
        order["template"] = template
    for name in _replaced(order, changes):
        order.pop(name, None)
    for name, value in changes.items():
        if name == "vars" and isinstance(value, Mapping):
            order[name] = {key: each for key, each in {**order.get(name, {}), **value}.items() if each is not None}
        elif value is None:
            order.pop(name, None)
        else:
            order[name] = value
    return order


def _replaced(order: Mapping[str, Any], changes: Mapping[str, Any]) -> list[str]:
    gone: list[str] = []
    if changes.get("prompt") is not None:
        gone += ["template", "vars"]
    elif changes.get("template") is not None:
        gone += ["prompt"]
    if "size" in changes or ("size" in order and not changes.keys() & set(SIDES)):
        gone += SIDES  # what is kept of an order holds the sides that its size gave
    elif changes.keys() & set(SIDES):
        gone += ["size"]
    if any(changes.get(name) is not None for name in EXPIRES):
        gone += EXPIRES
    return gone
