"""read_wish: what an order asks for once its template has had its say. The order's own fields win."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from factory.domain.fill_template import fill_template
from factory.domain.job_order import JobOrder, LoraOrder
from factory.domain.seed_policy import SeedPolicy, seed_by_policy
from factory.domain.template_body import TemplateVersion
from factory.errors import Invalid, Problem

SETTINGS = ("model", "width", "height", "loras", "label_profile")
SIDES = ("width", "height")  # `size` gives them too


@dataclass
class Wish:
    """`source` is the JSON pointer to what said the prompt, `template` the name@version that did, if one did. `own` is what the order
    says itself. `seed` is None where it is left to chance."""

    prompt: str
    source: str
    seed: int | None
    model: str | None = None
    width: int | None = None
    height: int | None = None
    loras: tuple[LoraOrder, ...] = ()
    label_profile: Literal["cn", "eu", "marketplace-clean"] = "cn"
    template: str | None = None
    warnings: list[dict[str, Any]] = field(default_factory=list)
    own: frozenset[str] = frozenset()

    def at(self, name: str) -> str:
        """The JSON pointer to whatever said the setting called `name`."""
        return self.source if self.template and name not in self.own else f"{self.source.rpartition('/')[0]}/{name}"


def read_wish(
    order: JobOrder, find: Callable[[str], TemplateVersion | None], series: str, problems: list[Problem], pointer: str
) -> Wish | None:
    """`series` is what derived seeds are the same within. None, and more in `problems`, when there is no prompt to be had."""
    sent = order.model_fields_set
    own = {name: value for name in SETTINGS if (name in sent or name in SIDES) and (value := getattr(order, name)) is not None}
    if order.template is None:
        if order.vars:
            message = "vars fill a template's holes, and no template is named; name one in `template`, or leave vars out"
            problems.append(Problem("vars_without_template", message, f"{pointer}/vars"))
        return Wish(order.prompt or "", f"{pointer}/prompt", order.seed, **_settings(own), own=frozenset(own))
    version = find(order.template)
    if version is None:
        message = f"template {order.template!r} is unknown; `GET /api/v1/templates` lists yours, with `?market=1` those that come with us"
        problems.append(Problem("unknown_template", message, f"{pointer}/template", order.template))
        return None
    try:
        prompt = fill_template(version.body, order.vars, pointer=pointer)
    except Invalid as fault:
        problems.extend(fault.problems)
        return None
    said = {name: value for name in SETTINGS if (value := getattr(version.body, name)) not in (None, ())}
    warnings = _overridden(own, said, version)
    seed = _seed(order, version, series, warnings)
    settings = _settings({**said, **own})
    return Wish(prompt, f"{pointer}/template", seed, **settings, template=version.reference, warnings=warnings, own=frozenset(own))


def _settings(said: dict[str, Any]) -> dict[str, Any]:
    return {**said, "loras": tuple(said.get("loras", ()))}


def _overridden(own: dict[str, Any], said: dict[str, Any], version: TemplateVersion) -> list[dict[str, Any]]:
    names = [name for name, value in own.items() if name in said and _plain(value) != _plain(said[name])]
    return [
        _warning("template_field_overridden", f"/{name}", f"{name} of the order stands; {version.reference} says otherwise")
        for name in names
    ]


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value


def _seed(order: JobOrder, version: TemplateVersion, series: str, warnings: list[dict[str, Any]]) -> int | None:
    rule: SeedPolicy = version.body.seed
    if order.seed is not None:
        if rule.value not in (None, order.seed):
            warnings.append(
                _warning("template_field_overridden", "/seed", f"seed of the order stands; {version.reference} says {rule.value}")
            )
        return order.seed
    name = version.body.name
    seed = seed_by_policy(rule, series=series, template=name, sku=order.sku, slot=order.slot, candidate=order.candidate)
    if seed is None and rule.policy == "per_sku":
        message = f"{version.reference} draws its seed from the SKU, and the order has none: it is a random one"
        warnings.append(_warning("seed_without_sku", "/sku", message))
    return seed


def _warning(code: str, pointer: str, detail: str) -> dict[str, Any]:
    return {"code": code, "pointer": pointer, "detail": detail}
