"""The words of the captions in one language, read from `wording.yaml` beside this file."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

Language = Literal["zh", "en"]
Words = dict[str, list[str]]


@dataclass(frozen=True)
class Wording:
    """The words of one language. `objects`, `colours` and `backgrounds` are keyed by the names of `demo.shop.goods`."""

    objects: dict[str, Words]
    colours: dict[str, Words]
    backgrounds: dict[str, Words]
    orders: list[str]
    orders_without_background: list[str]
    before: list[str]
    after: list[str]
    selling: list[str]
    brief: list[str]


@cache
def wording(language: Language) -> Wording:
    """The words of `language`; KeyError if a name has none."""
    document = yaml.safe_load(Path(__file__).with_name("wording.yaml").read_text(encoding="utf-8"))
    named: list[Any] = [{name: words[language] for name, words in document[part].items()} for part in ("objects", "colours", "backgrounds")]
    listed = [document[part][language] for part in ("orders", "orders_without_background", "before", "after", "selling", "brief")]
    return Wording(*named, *listed)
