"""Checkpoint folders as files: what they hash to, what they weigh, and what they must not contain."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from factory.errors import BadCheckpoint

# Formats that run code when they are read; safetensors cannot.
RUNS_CODE = {".bin", ".ckpt", ".pt", ".pth", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".py", ".so"}
FLOATS = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"}
WHOLE_BYTES = {"I64": 8, "U64": 8, "I32": 4, "U32": 4, "I16": 2, "U16": 2, "I8": 1, "U8": 1, "BOOL": 1}
LARGEST_HEADER = 100_000_000

_hashes: dict[tuple[str, int, int], str] = {}


def manifest_sha256(path: Path) -> str:
    """One SHA-256 over the sorted (relative name, SHA-256) of all files below `path`.

    File hashes are kept in memory by size and modification time, so that only the first call reads the weights.
    Raises BadCheckpoint for a missing or empty folder and for one that holds pickles or code.
    """
    refuse_code(path)
    manifest = hashlib.sha256()
    for file in _files(path):
        manifest.update(f"{file.relative_to(path).as_posix()}\0{file_sha256(file)}\n".encode())
    return manifest.hexdigest()


def refuse_code(path: Path) -> None:
    """Raise BadCheckpoint unless `path` is a folder with files, none of which can run code when loaded."""
    files = list(_files(path)) if path.is_dir() else []
    if not files:
        raise BadCheckpoint(f"checkpoint folder {path.name!r} is missing or empty; put the diffusers folder there")
    for file in files:
        if file.suffix.lower() in RUNS_CODE:
            name = file.relative_to(path).as_posix()
            raise BadCheckpoint(f"checkpoint {path.name!r} holds {name!r}, which can run code; convert it to safetensors")


def tensor_shapes(folder: Path) -> dict[str, tuple[str, tuple[int, ...]]]:
    """(dtype, shape) by tensor name over the safetensors files directly in `folder`, from their headers alone."""
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            header = read_header(file)
            shapes |= {name: (tensor["dtype"], tuple(tensor["shape"])) for name, tensor in header.items() if name != "__metadata__"}
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadCheckpoint(f"{folder.name}/{file.name} is not a safetensors file: {error!r}") from error
    return shapes


def footprint(path: Path, *, float_bytes: int) -> int:
    """Bytes of all tensors below `path` once floating point ones take `float_bytes` each; shared by engines."""
    total = 0
    for folder in sorted({file.parent for file in path.rglob("*.safetensors")}):
        for dtype, shape in tensor_shapes(folder).values():
            total += math.prod(shape) * (float_bytes if dtype in FLOATS else WHOLE_BYTES.get(dtype, 8))
    if not total:
        raise BadCheckpoint(f"checkpoint {path.name!r} holds no safetensors")
    return total


def _files(path: Path) -> Iterator[Path]:
    return (file for file in sorted(path.rglob("*")) if file.is_file())


def file_sha256(file: Path) -> str:
    """Of its bytes; read again only when its size or modification time has changed."""
    stat = file.stat()
    key = (str(file.resolve()), stat.st_size, stat.st_mtime_ns)
    if key not in _hashes:
        with file.open("rb") as stream:
            _hashes[key] = hashlib.file_digest(stream, "sha256").hexdigest()
    return _hashes[key]


def read_header(file: Path) -> dict[str, Any]:
    """The JSON header of a safetensors file (8 bytes of little-endian length, then the header). Raises OSError, ValueError."""
    with file.open("rb") as stream:
        length = int.from_bytes(stream.read(8), "little")
        text = stream.read(min(length, LARGEST_HEADER))
    # Cut short, it would be no JSON; json says so.
    header: dict[str, Any] = json.loads(text if len(text) == length else b"")
    return header
