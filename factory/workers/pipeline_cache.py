"""PipelineCache: loaded pipelines by bytes; the least recently used goes first, a pinned one never."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from time import perf_counter

from factory import metrics
from factory.domain.generation_spec import GenerationSpec
from factory.errors import BadCheckpoint, Capacity, OutOfVram
from factory.logs import get_logger
from factory.workers.checkpoints import manifest_sha256
from factory.workers.engines import Engine, Pipeline

log = get_logger(__name__)

Key = tuple[str, str, str]


@dataclass
class _Held:
    pipeline: Pipeline
    bytes: int
    pins: int = 0


class PipelineCache:
    """`checkpoints` is the folder of checkpoint folders; `budget_bytes` bounds what is loaded and being loaded.

    Two threads that ask for one checkpoint cause one load; loads run outside the lock, so that hits never wait for them.
    """

    def __init__(self, engines: Mapping[str, Engine], checkpoints: Path, *, budget_bytes: int) -> None:
        self._engines = dict(engines)
        self._checkpoints = checkpoints
        self._budget = budget_bytes
        self._held: OrderedDict[Key, _Held] = OrderedDict()
        self._loading: dict[Key, int] = {}
        self._changed = Condition()

    @contextmanager
    def pin(self, spec: GenerationSpec) -> Iterator[Pipeline]:
        """The pipeline that `spec` orders, kept in memory until the block ends.

        Raises BadCheckpoint (broken, or not the bytes that were ordered), OutOfVram (does not fit), Capacity (no such engine or folder).
        """
        key = (spec.engine, spec.checkpoint, spec.checkpoint_sha256)
        if not self._pin_held(key):
            self._load(key)
        try:
            yield self._held[key].pipeline
        finally:
            with self._changed:
                self._held[key].pins -= 1
                self._changed.notify_all()

    def resident(self) -> list[str]:
        """Names of the loaded checkpoints, the most recently used first; `claim_job` prefers their jobs."""
        with self._changed:
            return list(dict.fromkeys(name for _, name, _ in reversed(self._held)))

    def lacks(self, checkpoint: str) -> bool:
        """Neither loaded nor in the folder. What is no name, or cannot be looked at, is not lacking: loading says what is wrong with it."""
        return checkpoint not in self.resident() and self._is_name(checkpoint) and self._is_missing(checkpoint)

    @property
    def bytes(self) -> int:
        """What the loaded pipelines take."""
        with self._changed:
            return self._used()

    def clear(self) -> None:
        """Drop every pipeline that nobody has pinned."""
        with self._changed:
            for key in [key for key, held in self._held.items() if not held.pins]:
                del self._held[key]
            metrics.cache_bytes.set(self._used())

    def _pin_held(self, key: Key) -> bool:
        """Pin and return True, or return False: then the caller has to load, and the others wait for it."""
        with self._changed:
            self._changed.wait_for(lambda: key not in self._loading)
            held = self._held.get(key)
            metrics.cache_requests_total.labels("hit" if held else "miss").inc()
            if held is None:
                self._loading[key] = 0
                return False
            self._held.move_to_end(key)
            held.pins += 1
            return True

    def _load(self, key: Key) -> None:
        """Load and pin. The room is reserved before the lock is let go."""
        started = perf_counter()
        loaded: _Held | None = None
        try:
            engine, path = self._locate(key)
            with self._changed:
                self._loading[key] = self._make_room(key, engine.footprint(path))
            pipeline = engine.load(path)
            loaded = _Held(pipeline, pipeline.bytes, pins=1)
        finally:
            with self._changed:
                del self._loading[key]
                if loaded:
                    self._held[key] = loaded
                metrics.cache_bytes.set(self._used())
                self._changed.notify_all()
        seconds = perf_counter() - started
        metrics.load_seconds.observe(seconds)
        log.info("checkpoint_loaded", engine=key[0], checkpoint=key[1], bytes=loaded.bytes, seconds=round(seconds, 3))

    def _locate(self, key: Key) -> tuple[Engine, Path]:
        """The engine and the folder, whose files must be the ones that were ordered."""
        name, checkpoint, ordered = key
        if name not in self._engines:
            raise Capacity(f"this worker has no engine {name!r}; it has {', '.join(sorted(self._engines))}")
        if not self._is_name(checkpoint):
            raise BadCheckpoint(f"checkpoint {checkpoint!r} is not the name of a folder")
        path = self._checkpoints / checkpoint
        if self._is_missing(checkpoint):
            raise Capacity(f"this worker has no folder of checkpoint {checkpoint!r}; copy it there, or leave the job to one that has")
        found = manifest_sha256(path)
        if found != ordered:
            raise BadCheckpoint(f"checkpoint {checkpoint!r} on this worker is {found[:12]}, the order says {ordered[:12]}; copy it again")
        return self._engines[name], path

    def _is_name(self, checkpoint: str) -> bool:
        return checkpoint not in ("", ".", "..") and (self._checkpoints / checkpoint).parent == self._checkpoints

    def _is_missing(self, checkpoint: str) -> bool:
        try:
            (self._checkpoints / checkpoint).stat()
        except OSError as fault:
            return isinstance(fault, FileNotFoundError)
        return False

    def _make_room(self, key: Key, needed: int) -> int:
        """Evict until `needed` fits and return it; nothing is evicted in vain. The lock is held."""
        pinned = sum(held.bytes for held in self._held.values() if held.pins) + sum(self._loading.values())
        if needed > self._budget - pinned:
            raise OutOfVram(
                f"checkpoint {key[1]!r} needs {needed:,} bytes; the budget is {self._budget:,}, of which {pinned:,} are in use; "
                "use a worker with more memory or raise FACTORY_VRAM_BYTES"
            )
        for old in [key for key, held in self._held.items() if not held.pins]:
            if self._used() + sum(self._loading.values()) + needed <= self._budget:
                break
            log.info("checkpoint_evicted", engine=old[0], checkpoint=old[1], bytes=self._held.pop(old).bytes)
        return needed

    def _used(self) -> int:
        return sum(held.bytes for held in self._held.values())
