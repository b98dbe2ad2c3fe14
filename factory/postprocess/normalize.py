"""Normalise a prompt for matching, and know for each character where it stood in the original.

Undoes spellings that mean the same text: NFKC, letter case, traditional characters, accents, look-alike letters, invisible characters.
"""

from __future__ import annotations

import unicodedata
from functools import cache, lru_cache
from typing import TYPE_CHECKING, NamedTuple

from opencc import OpenCC

if TYPE_CHECKING:
    from collections.abc import Sequence

# Letters without width or ink that Unicode does not file under format characters: Hangul fillers, a braille blank.
INVISIBLE = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
DROPPED_CATEGORIES = frozenset({"Cc", "Cf", "Mn", "Me", "Cs", "Co"})
IDEOGRAPHS = ((0x3400, 0xA000), (0x20000, 0x323B0))
# Cyrillic and Greek letters that look like Latin ones, after case folding.
HOMOGLYPHS = {
    **str.maketrans("асԁеһіјӏкмопԛрѕтѵԝхуүв", "acdehijlkmonqpstvwxyyb"),
    **str.maketrans("αβεικνορτυχωϲϳ", "abeikvoptuxwcj"),
    **str.maketrans("ıɑɡɩʟɴʀℓ", "iagilnrl"),
}


class Letter(NamedTuple):
    """One normalised character. It came from original[start:end]; `gap` is what was squashed before it."""

    text: str
    start: int
    end: int
    gap: str = ""


class Normalized:
    """`text` for matching; `letters[i]` tells where text[i] came from, in characters of the original."""

    def __init__(self, letters: Sequence[Letter]) -> None:
        self.letters = letters
        self.text = "".join(letter.text for letter in letters)

    def span(self, start: int, end: int) -> tuple[int, int]:
        """The original (start, end) of text[start:end], which must not be empty."""
        return self.letters[start].start, self.letters[end - 1].end


def is_ideograph(character: str) -> bool:
    """Han, whatever the block; the empty string is none."""
    return bool(character) and any(first <= ord(character) < last for first, last in IDEOGRAPHS)


@cache
def simplified() -> dict[int, str]:
    """Traditional → simplified, one character to one: converting phrases would change lengths and lose the offsets."""
    characters = [chr(code) for first, last in IDEOGRAPHS for code in range(first, last)]
    converted = OpenCC("t2s").convert("\n".join(characters)).split("\n")
    return {ord(old): new for old, new in zip(characters, converted, strict=True) if old != new}


@lru_cache(maxsize=65_536)
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


def normalize(text: str) -> Normalized:
    """Runs of white space become one space."""
    letters: list[Letter] = []
    for at, character in enumerate(text):
        for new in normalize_character(character):
            if new == " " and letters and letters[-1].text == " ":
                letters[-1] = Letter(" ", letters[-1].start, at + 1)
            else:
                letters.append(Letter(new, at, at + 1))
    return Normalized(letters)
