"""Spool: finished pictures that wait on this machine's disk while the storage is down. Bounded: a full spool is the caller's back-pressure."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from factory import logs, metrics
from factory.errors import Invalid, StorageDown
from factory.storage.write_new import write_new

_ENDING, _UNFINISHED = ".spooled", ".part"
_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")
log = logs.get_logger(__name__)


@dataclass(frozen=True)
class SpoolItem:
    """What `Storage.put` and the closing of the job need. `facts` must be JSON."""

    job_id: str
    attempt: int
    key: str
    content: bytes
    filename: str
    media_type: str
    sha256: str
    facts: dict[str, Any]


class Spool:
    """At most `limit` items in `folder`, which belongs to one process. Items older than `max_age_seconds` are dropped at start: their jobs were redone."""

    def __init__(self, folder: Path, limit: int, *, max_age_seconds: float = 86_400) -> None:
        self.folder, self.limit = folder, limit
        self._lock = threading.Lock()
        with _disk(folder):
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            before = time.time() - max_age_seconds
            for path in folder.iterdir():
                if path.name.endswith(_UNFINISHED) or (path.name.endswith(_ENDING) and path.stat().st_mtime < before):
                    path.unlink()
        self._names = set(self._found())
        metrics.spooled_pictures.set(len(self))

    def __len__(self) -> int:
        return len(self._names)

    def put(self, item: SpoolItem) -> bool:
        """Keep `item`; on the disk when this returns. False when the spool is full. Raises StorageDown when the disk does not take it."""
        name = _name(item)
        with self._lock:
            if name not in self._names and len(self._names) >= self.limit:
                return False
            self._names.add(name)
        try:
            self._write(name, item)
        except BaseException:
            with self._lock:
                self._names.discard(name)
            raise
        metrics.spooled_pictures.set(len(self))
        return True

    def items(self) -> Iterator[SpoolItem]:
        """Oldest first, one in memory at a time. A damaged item is dropped with a line in the log: its lease runs out and the job is redone."""
        with _disk(self.folder):
            for name in self._found():
                path = self.folder / name
                try:
                    item = _parse(path.read_bytes())
                except FileNotFoundError:
                    continue
                except (ValueError, TypeError, KeyError):
                    log.error("spool_item_damaged", file=name)
                    self._drop(name)
                    continue
                yield item

    def remove(self, item: SpoolItem) -> None:
        """Harmless when it is gone. Raises StorageDown."""
        with _disk(self.folder):
            self._drop(_name(item))

    def _drop(self, name: str) -> None:
        (self.folder / name).unlink(missing_ok=True)
        with self._lock:
            self._names.discard(name)
        metrics.spooled_pictures.set(len(self))

    def _write(self, name: str, item: SpoolItem) -> None:
        head = asdict(item)
        del head["content"]
        lines = [json.dumps(head, ensure_ascii=False).encode() + b"\n", item.content]
        fresh = f"{uuid.uuid4().hex}{_UNFINISHED}"
        with _disk(self.folder):
            folder = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                write_new(fresh, lines, dir_fd=folder, mode=0o600)
                os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
                os.fsync(folder)
            finally:
                os.close(folder)

    def _found(self) -> list[str]:
        """Names of whole items, oldest first."""
        ages = []
        for path in self.folder.glob(f"*{_ENDING}"):
            with contextlib.suppress(FileNotFoundError):
                ages.append((path.stat().st_mtime_ns, path.name))
        return [name for _, name in sorted(ages)]


def _name(item: SpoolItem) -> str:
    if not _NAME.fullmatch(item.job_id) or item.attempt < 1:
        raise Invalid(
            f"job_id {item.job_id[:80]!r} and attempt {item.attempt} name no spool file: send an id of letters, digits and -, and 1 or more"
        )
    return f"{item.job_id}.{item.attempt}{_ENDING}"


def _parse(data: bytes) -> SpoolItem:
    """Raises ValueError, TypeError or KeyError for anything but a whole item."""
    head, line_end, content = data.partition(b"\n")
    facts = json.loads(head)
    if not line_end or hashlib.sha256(content).hexdigest() != facts["sha256"]:
        raise ValueError("the content is not what was put in")
    return SpoolItem(content=content, **facts)


@contextlib.contextmanager
def _disk(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageDown(f"the spool {folder} failed: {error.strerror or error}; free its disk, then check its owner") from error
