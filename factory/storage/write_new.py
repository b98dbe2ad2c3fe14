"""write_new: a file that is whole and on the disk, or not there."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable


def write_new(name: str, chunks: Iterable[bytes], *, dir_fd: int, mode: int = 0o644) -> None:
    """Write and fsync a new file in the open folder `dir_fd`. Raises OSError, and then nothing is left."""
    fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode, dir_fd=dir_fd)
    try:
        with os.fdopen(fd, "wb", buffering=0) as out:
            for chunk in chunks:
                rest = memoryview(chunk)
                while rest:
                    rest = rest[out.write(rest) :]
            os.fchmod(fd, mode)  # whatever the umask: a web server may have to read it
            os.fsync(fd)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=dir_fd)
        raise
