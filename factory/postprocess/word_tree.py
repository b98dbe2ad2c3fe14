"""WordTree: find many words at once. Its time grows with the text and the longest word, not with the number of words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from factory.postprocess.fold import is_word

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from factory.postprocess.normalize import Normalized


SHORTEST_SPELLED = 3
LATIN = re.compile(r"[a-z][a-z]*")  # not [a-z]+: see SEPARATORS


class Owner(NamedTuple):
    """Whose word it is: a rule's, or, where `pair` is not negative, one `side` (0 or 1) of that pair of the rule."""

    rule: str
    pair: int = -1
    side: int = 0


class Node:
    __slots__ = ("next", "owners")

    def __init__(self) -> None:
        self.next: dict[str, Node] = {}
        self.owners: list[Owner] = []


class WordTree:
    """A trie over characters; each word belongs to an owner."""

    def __init__(self, words: Iterable[tuple[str, Owner]]) -> None:
        self._root = Node()
        openings: set[str] = set()
        for word, owner in words:
            if opening := LATIN.match(word):
                openings.add(opening[0])
            node = self._root
            for character in word:
                node = node.next.setdefault(character, Node())
            if owner not in node.owners:
                node.owners.append(owner)
        self._openings = frozenset(openings)
        # Two patterns: one skips to the characters that words begin with, the other looks at Latin letters only where no Latin letter is before.
        latin = [first for first in self._root.next if "a" <= first <= "z"]
        self._latin = re.compile(f"(?<![a-z])(?:{self._heads(latin)})")
        self._others = re.compile(self._heads([first for first in self._root.next if first not in latin]))

    def _heads(self, firsts: list[str]) -> str:
        return "|".join(re.escape(first) + follows(self._root.next[first], 2) for first in firsts) or "(?!)"

    def find(self, where: Normalized) -> Iterator[tuple[Owner, int, int]]:
        """Every (owner, start, end), overlapping ones too; a word that begins or ends with a Latin letter must stand alone there."""
        starts = self._latin_starts(where)
        starts += [match.start() for match in self._others.finditer(where.text)]
        # Beside a gap a Latin word may begin within letters: "a s-e-x".
        starts += [at - back for at in where.gaps for back in (0, 1) if where.text[at - back].isascii()]
        for start in starts:
            for owner, end in self._from(where.text, start):
                latin = where.text[start:end].isascii()
                spelled = latin and end - start > SHORTEST_SPELLED
                if glued(where, start, start + 1, latin=latin, spelled=spelled) or glued(where, end, end - 1, latin=latin, spelled=spelled):
                    continue
                yield owner, start, end

    def _latin_starts(self, where: Normalized) -> list[int]:
        """Where no letters were squashed together a Latin word stands alone, so what it opens with is a whole word of the text."""
        if any(where.text[at].isascii() for at in where.gaps):
            return [match.start() for match in self._latin.finditer(where.text)]
        return [match.start() for match in LATIN.finditer(where.text) if match[0] in self._openings]

    def _from(self, text: str, start: int) -> Iterator[tuple[Owner, int]]:
        node = self._root
        for end in range(start, len(text)):
            following = node.next.get(text[end])
            if following is None:
                return
            node = following
            for owner in node.owners:
                yield owner, end + 1


def follows(node: Node, depth: int) -> str:
    """A pattern that looks ahead for the next `depth` characters of any word through `node`."""
    return f"(?={ways(node, depth)})" if not node.owners else ""


def ways(node: Node, depth: int) -> str:
    if depth == 0 or node.owners:
        return ""
    return "(?:" + "|".join(re.escape(character) + ways(following, depth - 1) for character, following in node.next.items()) + ")"


def glued(where: Normalized, at: int, inner: int, *, latin: bool, spelled: bool) -> bool:
    """Whether letters go on across the edge `at` of a word; in "a s-e-x" the other separator ends the word. `inner` is the gap inside it.

    A digit beside a Latin word ends it too: heroin123. So does any letter where letters stand one by one: b i g p o r n.
    """
    if not (0 < at < len(where.text) and is_word(where.text[at - 1]) and is_word(where.text[at])):
        return False
    own, outside = (at, at - 1) if inner > at else (at - 1, at)
    if latin and where.text[own].isalpha() and where.text[outside].isdigit():
        return False
    if spelled and at in where.gaps:
        return False
    return where.gaps.get(at, "") == where.gaps.get(inner, "")
