"""fingerprint: whether files are still the ones that something was made from."""

from __future__ import annotations

import hashlib
from pathlib import Path


def fingerprint(folder: Path, *patterns: str) -> str:
    """SHA-256, in hex, over the names and contents of the files below `folder` that match one of the glob `patterns`."""
    whole = hashlib.sha256()
    for file in sorted({file for pattern in patterns for file in folder.rglob(pattern) if file.is_file()}):
        whole.update(f"{file.relative_to(folder).as_posix()}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()
