"""A file of rows on its way to the API: streamed from disk, and from its start again when a try has to be repeated."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from factory.cli.exit_codes import Usage

CHUNK = 256 * 1024
SEEN = 4096


class FileBody:
    """What httpx takes as a body of known length; it has no `read`, so every try begins anew."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def fileno(self) -> int:
        return self._file.fileno()

    def start(self) -> bytes:
        self._file.seek(0)
        return self._file.read(SEEN)

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            yield chunk


@contextmanager
def opened(file: str) -> Iterator[FileBody]:
    """`-` is standard input; that and pipes are laid into a temporary file first. Raises Usage."""
    with _bytes_of(file) as found:
        yield FileBody(found)


def _bytes_of(file: str) -> IO[bytes]:
    try:
        if file != "-" and Path(file).is_file():
            return Path(file).open("rb")
        copy = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
        with sys.stdin.buffer if file == "-" else Path(file).open("rb") as pipe:
            shutil.copyfileobj(pipe, copy)
    except OSError as fault:
        raise Usage(f"cannot read {file}: {fault.strerror}") from fault
    copy.flush()
    return copy


def named_pairs(group: str, pairs: Iterable[str]) -> dict[str, str]:
    """`--var product=cup` as the address has it: {"vars.product": "cup"}. Raises Usage."""
    found = {}
    for pair in pairs:
        name, sign, value = pair.partition("=")
        if not sign or not name.strip():
            raise Usage(f"{pair!r} must look like NAME=VALUE")
        found[f"{group}.{name.strip()}"] = value
    return found
