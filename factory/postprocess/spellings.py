"""The spellings of a word in a rule file that count as that word: plurals, and one word for each number of a range."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RANGE = re.compile(r"\{(\d{1,2})-(\d{1,2})\}")
HISSING = ("s", "x", "z", "ch", "sh")


def spellings(word: str) -> Iterator[str]:
    """`{1-17}岁` is 1岁 to 17岁; a word that ends with a Latin letter has its regular English plural too."""
    found = RANGE.search(word)
    numbers = [str(number) for number in range(int(found[1]), int(found[2]) + 1)] if found else [""]
    for number in numbers:
        one = RANGE.sub(number, word, count=1)
        yield one
        if one[-1:].isascii() and one[-1:].isalpha():
            yield plural(one)


def plural(word: str) -> str:
    """children's English: toy → toys, baby → babies, ass → asses."""
    if word[-1] in "yY" and word[-2:-1].lower() not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.lower().endswith(HISSING) else "s")
