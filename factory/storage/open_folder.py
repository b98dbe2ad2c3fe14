"""open_folder: walk down from a root one open folder at a time, so that no link and no race can lead outside."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW


@contextlib.contextmanager
def open_folder(root: Path, names: Sequence[str], *, make: bool = False) -> Iterator[int]:
    """A descriptor of root/names…; `make` makes what is missing (0755). Raises OSError."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for name in names:
            inner = _open_or_make(name, fd) if make else os.open(name, _OPEN_FOLDER, dir_fd=fd)
            os.close(fd)
            fd = inner
        yield fd
    finally:
        os.close(fd)


@contextlib.contextmanager
def open_file(root: Path, parts: Sequence[str]) -> Iterator[int]:
    """A descriptor to read the plain file root/parts…. Raises OSError."""
    *folders, name = parts
    with open_folder(root, folders) as folder:
        fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise IsADirectoryError(errno.EISDIR, "not a plain file", name)
        yield fd
    finally:
        os.close(fd)


def _open_or_make(name: str, dir_fd: int) -> int:
    """A new folder is on the disk before anything is in it."""
    try:
        return os.open(name, _OPEN_FOLDER, dir_fd=dir_fd)
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=dir_fd)
    fd = os.open(name, _OPEN_FOLDER, dir_fd=dir_fd)
    try:
        os.fchmod(fd, 0o755)
        os.fsync(dir_fd)
    except OSError:
        os.close(fd)
        raise
    return fd
