"""Normalise a prompt for matching, and know for each character where it stood in the original.

Undoes spellings that mean the same text: NFKC, letter case, traditional characters, accents, look-alike letters, invisible characters.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cache

from opencc import OpenCC

from factory.postprocess.homoglyphs import HOMOGLYPHS

# Letters without width or ink that Unicode does not file under format characters: Hangul fillers, a braille blank.
INVISIBLE = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
DROPPED_CATEGORIES = frozenset({"Cc", "Cf", "Mn", "Me", "Cs", "Co"})
IDEOGRAPHS = ((0x3400, 0xA000), (0x20000, 0x323B0))
MOST_REMEMBERED = 65_536
Offsets = tuple[Sequence[int], Sequence[int]]


class Normalized:
    """`text` for matching: text[i] came from original[starts[i]:ends[i]]; `gaps[i]` is what was squashed before it, where anything was.

    `offsets` gives starts and ends. It is asked when something was found: in most prompts nothing is.
    """

    __slots__ = ("_known", "_offsets", "gaps", "text")

    def __init__(self, text: str, offsets: Callable[[], Offsets], gaps: Mapping[int, str] | None = None) -> None:
        self.text = text
        self.gaps = gaps or {}
        self._offsets = offsets
        self._known: Offsets | None = None

    @property
    def starts(self) -> Sequence[int]:
        return self._both()[0]

    @property
    def ends(self) -> Sequence[int]:
        return self._both()[1]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original (start, end) of text[start:end], which must not be empty."""
        starts, ends = self._both()
        return starts[start], ends[end - 1]

    def _both(self) -> Offsets:
        if self._known is None:
            self._known = self._offsets()
        return self._known


def is_ideograph(character: str) -> bool:
    """Han, whatever the block; the empty string is none."""
    return "\u3400" <= character < "\ua000" or "\U00020000" <= character < "\U000323b0"


@cache
def simplified() -> dict[int, str]:
    """Traditional → simplified, one character to one: converting phrases would change lengths and lose the offsets."""
    characters = [chr(code) for first, last in IDEOGRAPHS for code in range(first, last)]
    converted = OpenCC("t2s").convert("\n".join(characters)).split("\n")
    return {ord(old): new for old, new in zip(characters, converted, strict=True) if old != new}


def normalize_character(character: str) -> str:
    """None to eighteen characters for one, whatever stands beside it."""
    if character.isspace():
        return " "
    if unicodedata.category(character) in DROPPED_CATEGORIES or character in INVISIBLE:
        return ""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", character).casefold())
    decomposed = unicodedata.normalize("NFKD", text)
    if decomposed[:1].isascii():
        text = "".join(part for part in decomposed if not unicodedata.combining(part))
    return text.translate(HOMOGLYPHS).translate(simplified())


class Remembered(dict[str, str]):
    """character → normalised; forgets all when it has seen too many kinds."""

    def __missing__(self, character: str) -> str:
        if len(self) >= MOST_REMEMBERED:
            self.clear()
        self[character] = text = normalize_character(character)
        return text


REMEMBERED = Remembered()


def normalize(text: str) -> Normalized:
    """Runs of white space become one space."""
    parts = list(map(REMEMBERED.__getitem__, text))
    joined = "".join(parts)
    if len(joined) == len(parts) and all(parts) and "  " not in joined:
        return Normalized(joined, lambda: (range(len(text)), range(1, len(text) + 1)))
    new: list[str] = []
    starts: list[int] = []
    ends: list[int] = []
    for at, part in enumerate(parts):
        for character in part:
            if character == " " and new and new[-1] == " ":
                ends[-1] = at + 1
            else:
                new.append(character)
                starts.append(at)
                ends.append(at + 1)
    return Normalized("".join(new), lambda: (starts, ends))
