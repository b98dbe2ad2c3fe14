"""ExternalIds: which names the rows of an order carry, in memory that hardly grows, however many there are."""

from __future__ import annotations

import tempfile
from array import array
from collections.abc import Iterator
from typing import IO

FIRST_ROOM = 1024
MASK = (1 << 64) - 1
IN_MEMORY = 256 * 1024
AT_ONCE = 5000


class ExternalIds:
    """Two or three dozen bytes a name and a line in a file, where a dict of the names took two hundred.

    Names are told apart by 64 bits of Python's keyed hash: among a hundred thousand, two share them once in four thousand
    million orders, and then one row is refused that need not be.
    """

    def __init__(self) -> None:
        self._hashes = array("Q", bytes(8 * FIRST_ROOM))
        self._rows = array("I", bytes(4 * FIRST_ROOM))
        self._names: IO[bytes] = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - lives as long as the order
        self._used = self._count = 0

    def first(self, name: str, row: int) -> int:
        """The row that has this name already, else `row`, which has it from now on. Rows count from 1."""
        at, hashed = self._find(name)
        if self._rows[at]:
            return self._rows[at]
        if self._hashes[at] != hashed:
            self._used += 1
        self._hashes[at], self._rows[at] = hashed, row
        self._count += 1
        self._names.write(b"%d %s\n" % (row, name.encode()))
        if self._used * 3 > len(self._hashes) * 2:
            self._grow()
        return row

    def forget(self, name: str) -> None:
        """Its row was refused: another may have the name."""
        at, _ = self._find(name)
        if self._rows[at]:
            self._rows[at] = 0
            self._count -= 1

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        for some in self.chunks():
            yield from some

    def __getitem__(self, name: str) -> int:
        row = self._rows[self._find(name)[0]]
        if not row:
            raise KeyError(name)
        return row

    def chunks(self, size: int = AT_ONCE) -> Iterator[dict[str, int]]:
        """Name → row, so many at a time, in the order of the rows."""
        self._names.seek(0)
        some: dict[str, int] = {}
        for line in self._names:
            number, _, name = line.decode().rstrip("\n").partition(" ")
            row = int(number)
            if self._rows[self._find(name)[0]] == row:  # else it was forgotten
                some[name] = row
            if len(some) == size:
                yield some
                some = {}
        if some:
            yield some

    def _find(self, name: str) -> tuple[int, int]:
        """Where the name is, or where it would be; and its hash, never 0."""
        hashed = (hash(name) & MASK) or 1
        room = len(self._hashes) - 1
        at = hashed & room
        while self._hashes[at] not in (0, hashed):
            at = (at + 1) & room
        return at, hashed

    def _grow(self) -> None:
        before = zip(self._hashes, self._rows, strict=True)
        room = len(self._hashes) * 2
        self._hashes, self._rows = array("Q", bytes(8 * room)), array("I", bytes(4 * room))
        self._used = 0
        for hashed, row in before:
            if not row:
                continue
            at = hashed & (room - 1)
            while self._hashes[at]:
                at = (at + 1) & (room - 1)
            self._hashes[at], self._rows[at] = hashed, row
            self._used += 1
