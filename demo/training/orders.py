"""What the finished checkpoint is asked for: every item in every colour, in two languages, plain and in free wording."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass

from demo.shop.captions import caption, plain_captions
from demo.shop.goods import BACKGROUNDS, COLOURS, OBJECTS, Scene
from demo.shop.wording import Language, wording

HAN = re.compile("[\u4e00-\u9fff]")
LANGUAGES: tuple[Language, ...] = ("zh", "en")


@dataclass(frozen=True)
class Order:
    """One picture: what it must show, the words that ask for it, and the seed of its noise."""

    scene: Scene
    prompt: str
    seed: int


@dataclass(frozen=True)
class Sheet:
    """A hundred orders, ten items by ten colours, that share a language, a wording and a round."""

    language: Language
    wording: str
    round: int

    @property
    def name(self) -> str:
        return f"{self.language}-{self.wording}-{self.round}"

    def orders(self) -> list[Order]:
        """Every background ten times, once with each item, and with other items and colours on every sheet."""
        turn = 3 * self.round + LANGUAGES.index(self.language) + 8 * (self.wording == "free")
        found: list[Order] = []
        for item in range(len(OBJECTS)):
            for colour in range(len(COLOURS)):
                scene = Scene(item, colour, (item + colour + turn) % len(BACKGROUNDS))
                seed = 10_000 * turn + len(found)
                prompt = (
                    plain_captions(scene)[LANGUAGES.index(self.language)] if self.wording == "plain" else free(scene, self.language, seed)
                )
                found.append(Order(scene, prompt, seed))
        return found


def every_sheet(rounds: int) -> list[Sheet]:
    """`rounds` plain sheets and one in free wording for each language."""
    return [
        Sheet(language, kind, turn) for language in LANGUAGES for kind, times in (("plain", rounds), ("free", 1)) for turn in range(times)
    ]


def free(scene: Scene, language: Language, seed: int) -> str:
    """A caption in free wording that names the background: what is not asked for cannot be missed."""
    chance = random.Random(f"order/{scene}/{seed}")
    while True:
        text = caption(scene, chance)
        if (HAN.search(text) is not None) == (language == "zh") and _names_background(text, scene, language):
            return text


def _names_background(text: str, scene: Scene, language: Language) -> bool:
    forms = wording(language).backgrounds[BACKGROUNDS[scene.background]]
    bare = text.lower().replace(",", "")
    return any(word.lower().replace(",", "") in bare for words in forms.values() for word in words)
