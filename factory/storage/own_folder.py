"""own_folder: a folder for this process among those of its neighbours, and none left of those that are gone."""

from __future__ import annotations

import fcntl
import os
import shutil
from pathlib import Path

from factory.errors import StorageDown

_held: list[int] = []  # descriptors: the locks last as long as the process


def own_folder(root: Path, name: str) -> Path:
    """`root/name`, locked until this process ends. Folders beside it that nobody has locked are deleted with what is in them.

    Raises StorageDown.
    """
    folder = root / name
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Between a neighbour's mkdir and its lock nobody may look.
        everybody = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(everybody, fcntl.LOCK_EX)
            folder.mkdir(exist_ok=True, mode=0o700)
            _held.extend(_locked(folder))
            for neighbour in root.iterdir():
                if neighbour.is_dir() and not neighbour.is_symlink() and neighbour != folder:
                    _remove_if_left(neighbour)
        finally:
            os.close(everybody)
    except OSError as error:
        raise StorageDown(f"the spool {folder} failed: {error.strerror or error}; free its disk, then check its owner") from error
    return folder


def _remove_if_left(folder: Path) -> None:
    for lock in _locked(folder):
        shutil.rmtree(folder, ignore_errors=True)
        os.close(lock)


def _locked(folder: Path) -> list[int]:
    """A descriptor that holds the lock of `folder`; none when another process, or this one, holds it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return []
    return [descriptor]
