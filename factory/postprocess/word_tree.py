"""WordTree: find many words at once. Its time grows with the text and the longest word, not with the number of words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Node:
    __slots__ = ("next", "owners")

    def __init__(self) -> None:
        self.next: dict[str, Node] = {}
        self.owners: list[str] = []


class WordTree:
    """A trie over characters; each word belongs to an owner."""

    def __init__(self, words: Iterable[tuple[str, str]]) -> None:
        self._root = Node()
        for word, owner in words:
            node = self._root
            for character in word:
                node = node.next.setdefault(character, Node())
            node.owners.append(owner)

    def find(self, text: str) -> Iterator[tuple[str, int, int]]:
        """Every (owner, start, end), overlapping ones too."""
        for start in range(len(text)):
            node: Node | None = self._root
            for end in range(start, len(text)):
                node = node.next.get(text[end]) if node else None
                if node is None:
                    break
                for owner in node.owners:
                    yield owner, start, end + 1
