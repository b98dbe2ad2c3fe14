"""PNG chunks: write them, walk them, describe a file (PNG specification, third edition, section 5)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from isal import isal_zlib

from factory.errors import BadPicture

SIGNATURE = b"\x89PNG\r\n\x1a\n"
IHDR_END = len(SIGNATURE) + 25
XMP_KEYWORD = b"XML:com.adobe.xmp"


@dataclass(frozen=True)
class Chunk:
    """`start` is the byte offset of the length field; `body` is not copied."""

    kind: bytes
    start: int
    body: memoryview


def write_chunk(kind: bytes, body: bytes) -> bytes:
    """Length, kind, body, CRC-32 of kind and body."""
    return b"".join((struct.pack(">I", len(body)), kind, body, struct.pack(">I", isal_zlib.crc32(body, isal_zlib.crc32(kind)))))


def read_chunks(content: bytes) -> Iterator[Chunk]:
    """Every chunk, its CRC checked. Raises BadPicture for a cut, patched or padded file."""
    if not content.startswith(SIGNATURE):
        raise BadPicture(f"not a PNG: the file begins with {content[:8]!r}")
    view, at, kind = memoryview(content), len(SIGNATURE), b""
    while at < len(content):
        if kind == b"IEND" or at + 12 > len(content):
            raise BadPicture(f"PNG: {len(content) - at} bytes at offset {at} belong to no chunk")
        length, kind = struct.unpack_from(">I4s", view, at)
        end = at + 12 + length
        if end > len(content):
            raise BadPicture(f"PNG: chunk {kind!r} at offset {at} is cut off")
        if isal_zlib.crc32(view[at + 4 : end - 4]) != struct.unpack_from(">I", view, end - 4)[0]:
            raise BadPicture(f"PNG: the CRC of chunk {kind!r} at offset {at} is wrong")
        yield Chunk(kind, at, view[at + 8 : end - 4])
        at = end
    if kind != b"IEND":
        raise BadPicture("PNG: the file ends without IEND")


def xmp_packets(chunks: list[Chunk]) -> list[str]:
    """The text of each uncompressed XMP chunk. Raises BadPicture when one is compressed or no UTF-8."""
    found = []
    for chunk in chunks:
        if chunk.kind == b"iTXt" and bytes(chunk.body[: len(XMP_KEYWORD) + 1]) == XMP_KEYWORD + b"\0":
            flags, _, rest = bytes(chunk.body[len(XMP_KEYWORD) + 1 :]).partition(b"\0\0\0\0")
            if flags or not rest:
                raise BadPicture("PNG: the XMP chunk is compressed or has a language; XMP asks for plain iTXt")
            try:
                found.append(rest.decode("utf-8"))
            except UnicodeDecodeError as error:
                raise BadPicture(f"PNG: the XMP chunk is not UTF-8: {error}") from error
    return found


def describe(content: bytes) -> dict[str, Any]:
    """`width`, `height`, `bit_depth`, `color_type`, `chunks` (kinds in order) and `xmp` (texts). Raises BadPicture."""
    chunks = list(read_chunks(content))
    kinds = [chunk.kind.decode("latin-1") for chunk in chunks]
    if kinds[0] != "IHDR" or len(chunks[0].body) != 13 or kinds.count("IHDR") != 1 or "IDAT" not in kinds:
        raise BadPicture(f"PNG: chunks {kinds[:8]} are not IHDR … IDAT … IEND")
    width, height, bit_depth, color_type = struct.unpack_from(">IIBB", chunks[0].body)
    return {
        "width": width,
        "height": height,
        "bit_depth": bit_depth,
        "color_type": color_type,
        "chunks": kinds,
        "xmp": xmp_packets(chunks),
    }
