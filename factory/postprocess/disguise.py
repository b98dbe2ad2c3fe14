"""Disguises: spellings that only severe words are looked for in, because honest text has the same marks.

A mark that stands between or for letters (po-rn, p*rn, $ex), a digit between letters (he3roin), a letter or digit between ideographs (裸0体).
"""

from __future__ import annotations

import re
from collections import defaultdict
from typing import TYPE_CHECKING

from factory.postprocess.fold import LEET, pick
from factory.postprocess.word_tree import Owner, WordTree

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from factory.postprocess.normalize import Normalized

HAN = "\u3400-\u9fff\U00020000-\U000323af"
LOOKS_LIKE = str.maketrans("013457$@!", "oieastsai")
STANDS_FOR_A_LETTER = "*#@$%!?&^~"
TOKEN = re.compile(
    r"(?<![a-z0-9])(?:[a-z]++(?:[-*#@$%!?&^~_.|/\\+:='0-9]{1,3}[a-z]++)++|[@$][a-z]++(?:[-*#@$%!?&^~_.|+0-9]{1,3}[a-z]++)*+)"
)
LONGEST_TOKEN = 32
# What every token holds: most prompts hold none, and to look for this costs next to nothing.
MARKED = re.compile(r"[-*#@$%!?&^~_.|/\\+:='0-9][a-z]")
# S-EX100 is a camera.
SHORTEST_JOINED = 3
# The last character of a match. 露3点, 蛋黄3片: a number and its measure word are no disguise.
INTRUDER = re.compile(rf"[{HAN}][0-9a-z](?=[{HAN}])(?<![0-9](?=[点片条个件款张页只双层]))")


class Disguises:
    """`words` are normalised and belong to owners."""

    def __init__(self, words: Iterable[tuple[str, Owner]]) -> None:
        words = tuple(words)
        self._latin: dict[str, list[Owner]] = defaultdict(list)
        self._by_ends: dict[str, set[str]] = defaultdict(set)
        for word, owner in words:
            if word.isascii() and word.isalpha() and len(word) > 2:
                self._latin[word].append(owner)
                self._by_ends[word[0] + word[-1]].add(word)
        self._han = WordTree((word, owner) for word, owner in words if not word.isascii())

    def find(self, plain: Normalized, folded: Normalized) -> Iterator[tuple[Owner, tuple[int, int]]]:
        """Each (owner, span in the original)."""
        for token in list(TOKEN.finditer(plain.text)) if MARKED.search(plain.text) else []:
            if token.end() - token.start() <= LONGEST_TOKEN:
                for word in self._meant(token[0]):
                    for owner in self._latin[word]:
                        yield owner, plain.span(*token.span())
        intruders = {match.end() - 1 for match in INTRUDER.finditer(folded.text)}
        if intruders:
            bare = pick(folded, [at for at in range(len(folded.text)) if at not in intruders])
            for owner, start, end in self._han.find(bare):
                yield owner, bare.span(start, end)

    def _meant(self, token: str) -> set[str]:
        """The severe words that a token with marks in it may stand for."""
        letters = {
            "".join(filter(str.isalpha, token)),
            "".join(filter(str.isalpha, token.translate(LEET))),
            "".join(filter(str.isalpha, token.translate(LOOKS_LIKE))),
        }
        meant = {word for word in letters if word in self._latin and (len(word) > SHORTEST_JOINED or token[0] in "@$")}
        if any(mark in token for mark in STANDS_FOR_A_LETTER):
            masked = re.compile("".join(letter if letter.isalpha() else ".?" if letter in STANDS_FOR_A_LETTER else "" for letter in token))
            first = token[0].translate(LOOKS_LIKE)
            meant |= {word for word in self._by_ends.get(first + token[-1], ()) if masked.fullmatch(word)}
        return meant
