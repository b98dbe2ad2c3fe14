"""The package of a workbook: is it what it says, is it safe to open, and which part holds the sheet that is meant."""

from __future__ import annotations

import posixpath
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any
from xml.parsers import expat

from factory.errors import Malformed

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
CHUNK = 64 * 1024
MOST_PARTS = 5000
LARGEST = 256 * 1024 * 1024
LARGEST_FACTS = 32 * 1024 * 1024
SUSPECT = 1024 * 1024
MOST_TIMES = 300  # a sheet of one value in every cell reaches about a hundred
MOST_FACTS = 1_000_000
LONGEST_TAG = 1024 * 1024  # expat reads a tag from its start again with each piece
BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, expat.ExpatError, KeyError, ValueError, OSError)


@contextmanager
def readable() -> Iterator[None]:
    """Raises Malformed for what the libraries say of a file that is no workbook."""
    try:
        yield
    except BROKEN as fault:
        raise Malformed(f"the workbook cannot be read ({type(fault).__name__}): save it anew as .xlsx", code="malformed_xlsx") from fault


@dataclass(frozen=True)
class Sheet:
    """`part` is where its cells are; a hidden one is read only when it is named."""

    name: str
    part: str
    hidden: bool


class Package:
    """An open workbook. Only the parts that are asked for are read: no macro, link or picture of it is ever touched."""

    def __init__(self, file: IO[bytes]) -> None:
        """Raises Malformed: no workbook, an old or encrypted one, or one that unpacks to more than anybody typed."""
        _is_zip(file)
        self._zip = zipfile.ZipFile(file)
        parts = self._zip.infolist()
        self.size = size = sum(part.file_size for part in parts)
        packed = sum(part.compress_size for part in parts)
        if len(parts) > MOST_PARTS or size > LARGEST or _is_bomb(size, packed):
            message = f"the workbook holds {len(parts)} parts of {size} bytes in {packed}; copy the sheet into a new workbook"
            raise Malformed(message, code="xlsx_too_large")
        self._parts = {part.filename.replace("\\", "/").lower(): part for part in parts}

    def holds(self, part: str) -> bool:
        return part.lower() in self._parts

    def _part(self, part: str) -> zipfile.ZipInfo:
        """Raises Malformed when it is missing."""
        if not self.holds(part):
            raise Malformed(f"the workbook is not whole: it lacks {part[:80]}; save it anew as .xlsx", code="malformed_xlsx")
        return self._parts[part.lower()]

    def open(self, part: str) -> IO[bytes]:
        found = self._part(part)
        if found.flag_bits & 1:
            raise _encrypted()
        if _is_bomb(found.file_size, found.compress_size):
            message = f"{part[:80]} unpacks from {found.compress_size} bytes to {found.file_size}; copy the sheet into a new workbook"
            raise Malformed(message, code="xlsx_too_large")
        return self._zip.open(found)

    def related(self, part: str) -> dict[str, tuple[str, str]]:
        """The parts that `part` names: id → (last word of the kind, part). `''` is the package itself. Links to elsewhere are left out."""
        folder, name = posixpath.split(part)
        found: dict[str, tuple[str, str]] = {}

        def start(element: str, given: dict[str, str]) -> None:
            if element == "Relationship" and given.get("TargetMode") != "External":
                target = given.get("Target", "")
                at = posixpath.normpath(posixpath.join("/" + folder, target)).lstrip("/")
                found[given.get("Id", "")] = (given.get("Type", "").rpartition("/")[2], at)

        self.read(posixpath.join(folder, "_rels", f"{name}.rels"), start)
        return found

    def read(self, part: str, start: Callable[[str, dict[str, str]], None]) -> None:
        """Call `start` for every element of a part, by its local name."""
        if self._part(part).file_size > LARGEST_FACTS:
            raise Malformed(f"{part} unpacks to over {LARGEST_FACTS} bytes; copy the sheet into a new workbook", code="xlsx_too_large")
        with self.open(part) as content:
            for _ in fed(content, parser_for(_counted(part, start))):
                pass

    def close(self) -> None:
        self._zip.close()


def _is_bomb(size: int, packed: int) -> bool:
    return size > SUSPECT and size > packed * MOST_TIMES


def _counted(part: str, start: Callable[[str, dict[str, str]], None]) -> Callable[[str, dict[str, str]], None]:
    """`start`, for as many elements as any workbook's facts have."""
    seen = 0

    def started(element: str, given: dict[str, str]) -> None:
        nonlocal seen
        seen += 1
        if seen > MOST_FACTS:
            raise Malformed(f"{part[:80]} holds over {MOST_FACTS} elements; copy the sheet into a new workbook", code="xlsx_too_large")
        start(element, given)

    return started


def parser_for(start: Callable[[str, dict[str, str]], None]) -> Any:
    """An expat parser that calls `start` with the local name of each element; it takes no document type, so no entity is ever defined."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True

    def no_document_type(*_: Any) -> None:
        raise Malformed("the workbook holds a document type, which no spreadsheet writes; save it anew as .xlsx", code="malformed_xlsx")

    def started(name: str, given: dict[str, str]) -> None:
        start(name.rpartition(" ")[2], given)

    parser.StartDoctypeDeclHandler = no_document_type
    parser.StartElementHandler = started
    return parser


def fed(content: IO[bytes], parser: Any) -> Iterator[None]:
    """Feed a part to its parser; stops after each piece, so that what it found can be taken."""
    at = 0
    while piece := content.read(CHUNK):
        parser.Parse(piece, False)
        at += len(piece)
        if at - parser.CurrentByteIndex > LONGEST_TAG:
            message = f"the workbook holds a tag or comment of over {LONGEST_TAG} bytes; copy the sheet into a new workbook"
            raise Malformed(message, code="malformed_xlsx")
        yield
    parser.Parse(b"", True)
    yield


def _is_zip(file: IO[bytes]) -> None:
    file.seek(0)
    start = file.read(len(OLE))
    if start == OLE:
        raise _encrypted() if _mentions(file, ENCRYPTED) else _old()
    if not start.startswith(b"PK"):
        raise Malformed("the file is no workbook; save it as .xlsx or as CSV in UTF-8", code="malformed_xlsx")
    file.seek(0)


def _mentions(file: IO[bytes], word: bytes) -> bool:
    before = b""
    while piece := file.read(CHUNK):
        if word in before + piece:
            return True
        before = piece[-len(word) :]
    return False


def _encrypted() -> Malformed:
    return Malformed(
        "the workbook is protected by a password; save a copy without one (File, Info, Protect Workbook)", code="xlsx_encrypted"
    )


def _old() -> Malformed:
    return Malformed("this is a workbook of Excel 97-2003 (.xls); open it and save it as .xlsx", code="xls_not_read")
