"""The folder of one server: private, locked while its server lives, with the secrets that a restart needs."""

from __future__ import annotations

import fcntl
import os
import secrets
import time
from pathlib import Path


class FolderInUse(RuntimeError):
    """Another server still runs on this folder."""


def private_folder(path: Path) -> Path:
    """Make `path` with mode 0700 and return it resolved."""
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.chmod(0o700)
    return path.resolve()


def lock_folder(folder: Path, *, seconds: float) -> int:
    """Take the folder's lock and return its descriptor, to be inherited by the server: it ends with the last process that holds it.

    Raises FolderInUse after `seconds`.
    """
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    until = time.monotonic() + seconds
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > until:
                os.close(lock)
                raise FolderInUse(f"a server still runs on {folder}: stop it, or choose another folder") from None
            time.sleep(0.05)
        else:
            return lock


def secret(folder: Path, name: str) -> str:
    """The secret `name` of this folder, made on first use and kept in a file with mode 0600."""
    file = folder / f"{name}.secret"
    if not file.exists():
        fresh = file.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            out.write(secrets.token_urlsafe(24))
        fresh.replace(file)
    return file.read_text()
