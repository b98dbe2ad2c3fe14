"""archive: a batch's pictures and its manifest as one ZIP, made while it is read: one picture in memory, nothing on disk but the manifest."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any

from zipstream.ng import ZIP_STORED, ZipStream

from factory.domain.asset import Asset
from factory.errors import FactoryError, StorageDown
from factory.storage import Storage

PIECE = 256 * 1024
IN_MEMORY = 2 * 1024 * 1024
# A storage that is away would keep the reader waiting for each picture in turn.
PATIENCE = 3
Rows = Iterable[tuple[dict[str, Any], Asset | None]]
# The manifest as it will stand in the archive, of rows that are read only once.
WriteManifest = Callable[[Iterable[dict[str, Any]]], Iterator[bytes]]


def archive(storage: Storage, rows: Rows, write_manifest: WriteManifest) -> Iterator[bytes]:
    """Pieces of a ZIP. A picture that cannot be read is a line in `errors.txt`; the stream goes on."""
    return _in_pieces(_archive(_Pictures(storage), rows, write_manifest))


def _archive(pictures: _Pictures, rows: Rows, write_manifest: WriteManifest) -> Iterator[bytes]:
    zipped = ZipStream(compress_type=ZIP_STORED)
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY) as laid_aside:
        wanted: list[tuple[str, Asset]] = []

        def seen() -> Iterator[dict[str, Any]]:
            for row, asset in rows:
                if asset is not None:
                    wanted.append((row["filename"], asset))
                yield row

        for piece in write_manifest(seen()):
            laid_aside.write(piece)
            for name, asset in wanted:
                content = pictures.read(name, asset)
                if content is not None:
                    zipped.add(content, name)
                    yield from zipped.all_files()
            wanted.clear()
        laid_aside.seek(0)
        zipped.add(_read(laid_aside), "manifest.csv")
        yield from zipped.all_files()
    if pictures.errors:
        zipped.add("".join(f"{line}\n" for line in pictures.errors), "errors.txt")
    yield from zipped.finalize()


def _read(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _in_pieces(parts: Iterable[bytes]) -> Iterator[bytes]:
    """The directory at a ZIP's end comes in a hundred bytes at a time."""
    piece = bytearray()
    for part in parts:
        piece += part
        if len(piece) >= PIECE:
            yield bytes(piece)
            piece.clear()
    yield bytes(piece)


@dataclass
class _Pictures:
    """Reads them one by one and writes down which could not be read."""

    storage: Storage
    errors: list[str] = field(default_factory=list)
    away: int = 0

    def read(self, name: str, asset: Asset) -> bytes | None:
        if self.away >= PATIENCE:
            self._miss(name, "not tried, the storage does not answer")
            return None
        try:
            content = self.storage.get(asset.key)
        except FactoryError as fault:
            self.away = self.away + 1 if isinstance(fault, StorageDown) else 0
            self._miss(name, f"{fault.code}: the storage did not give it")
            return None
        self.away = 0
        if hashlib.sha256(content).hexdigest() != asset.sha256:
            self._miss(name, f"the storage holds other bytes than were delivered; expected sha256 {asset.sha256}")
            return None
        return content

    def _miss(self, name: str, why: str) -> None:
        self.errors.append(f"{name}: {why}")
