"""LabelBook: which tenant's pictures carry which label. A book with one mistake is not used at all."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from factory.errors import Invalid, Problem
from factory.postprocess.label_fit import SMALLEST_SIDE, fit_label
from factory.postprocess.label_style import LEAST_SCALE, LabelStyle
from factory.postprocess.logo import Logo

Styles = Mapping[str, LabelStyle]
PLAIN: Styles = MappingProxyType({"cn": LabelStyle(), "eu": LabelStyle(text="AI", scale=LEAST_SCALE["eu"])})
FIELDS = tuple(part.name for part in fields(LabelStyle))


@dataclass(frozen=True)
class LabelBook:
    """`sha256` is that of the file, empty for the built-in styles. Raises ValueError for a style that the law or a small picture forbids."""

    profiles: Styles = field(default_factory=lambda: PLAIN)
    tenants: Mapping[str, Styles] = field(default_factory=dict)
    sha256: str = ""

    def __post_init__(self) -> None:
        for styles in (self.profiles, *self.tenants.values()):
            for profile, style in styles.items():
                check_style(style, profile)

    def style(self, tenant: str, profile: str) -> LabelStyle | None:
        """The tenant's own, else the profile's, else the built-in one; None: this profile shows nothing."""
        return self.tenants.get(tenant, {}).get(profile) or self.profiles.get(profile) or PLAIN.get(profile)


def check_style(style: LabelStyle, profile: str) -> None:
    """Raises ValueError when `style` shows less than `profile` asks, or has no room on the smallest picture."""
    style.check_lawful(profile)
    if fit_label(style, profile, SMALLEST_SIDE, SMALLEST_SIDE) is None:
        raise ValueError(f"label text {style.text!r} has no room on a picture of {SMALLEST_SIDE}×{SMALLEST_SIDE}; shorten it")


def load_labels(path: Path | None = None, *, text: str = "AI生成") -> LabelBook:
    """Read a label file; None: the built-in styles. `text` is that of `cn` where the file gives none.

    Raises Invalid that names each wrong field: without good labels no picture is finished.
    """
    plain = {**PLAIN}
    try:
        plain["cn"] = LabelStyle(text=text)
        check_style(plain["cn"], "cn")
        if path is None:
            return LabelBook(plain)
        raw = path.read_bytes()
        content: Any = yaml.load(raw, Loader=Once)  # noqa: S506 - a SafeLoader
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise Invalid(f"labels {path}: cannot be read: {error}", code="invalid_labels") from error
    except ValueError as error:
        raise Invalid(f"FACTORY_LABEL_TEXT: {error}", code="invalid_labels") from error
    problems: list[Problem] = []
    parts = mapping(content, "", ("profiles", "tenants"), problems)
    profiles = plain | read_styles(parts.get("profiles", {}), "/profiles", plain, path.parent, problems)
    tenants = {
        name: read_styles(styles, f"/tenants/{name}", profiles, path.parent, problems)
        for name, styles in mapping(parts.get("tenants", {}), "/tenants", None, problems).items()
    }
    if problems:
        shown = "; ".join(f"{problem.pointer or '/'}: {problem.message}" for problem in problems)
        raise Invalid(f"labels {path}: {shown}", *problems, code="invalid_labels")
    return LabelBook(profiles, tenants, hashlib.sha256(raw).hexdigest())


def read_styles(content: Any, pointer: str, defaults: Styles, folder: Path, problems: list[Problem]) -> dict[str, LabelStyle]:
    """Profile → style; what a style leaves out is as in `defaults`."""
    return dict(_styles(content, pointer, defaults, folder, problems))


def _styles(content: Any, pointer: str, defaults: Styles, folder: Path, problems: list[Problem]) -> Iterator[tuple[str, LabelStyle]]:
    for profile, given in mapping(content, pointer, tuple(defaults), problems).items():
        where = f"{pointer}/{profile}"
        try:
            changes = mapping(given, where, FIELDS, problems)
            if changes.get("logo") is not None:
                changes["logo"] = Logo.read(beside(changes["logo"], folder))
            style = replace(defaults[profile], **changes)
            check_style(style, profile)
            yield profile, style
        except ValueError as error:
            problems.append(Problem("invalid_labels", str(error), where))


def beside(name: Any, folder: Path) -> Path:
    """The file `name` in `folder` or under it. Raises ValueError for one elsewhere."""
    if not isinstance(name, str) or not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"label logo {name!r} is not beside the label file; copy it there and name it relative to that folder")
    return folder / name


def mapping(content: Any, pointer: str, known: tuple[str, ...] | None, problems: list[Problem]) -> dict[str, Any]:
    """`content` as a mapping; notes a problem for what is none, and for each key that is not `known` (None: any text)."""
    if not isinstance(content, dict):
        problems.append(Problem("invalid_labels", f"{content!r} must be a mapping; write `key: value` lines", pointer))
        return {}
    wrong = [key for key in content if not isinstance(key, str) or not key or (known is not None and key not in known)]
    for key in wrong:
        remedy = f"use {', '.join(known)}" if known else "put the name in quotes"
        problems.append(Problem("invalid_labels", f"{key!r} is not known here; {remedy}", pointer))
    return {key: value for key, value in content.items() if key not in wrong}


class Once(yaml.SafeLoader):
    """SafeLoader that refuses a key given twice: the first would be lost without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002 - yaml's
        keys = [key.value for key, _ in node.value]
        if twice := sorted({key for key in keys if keys.count(key) > 1}, key=str):
            raise yaml.constructor.ConstructorError(None, None, f"key {twice[0]!r} is given twice; keep one", node.start_mark)
        return super().construct_mapping(node, deep)
