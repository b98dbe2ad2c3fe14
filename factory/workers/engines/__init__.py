"""Engines: ways to load checkpoints. To add one: a file beside this one and a line in ENGINES."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from factory.domain.draft import Picture
from factory.domain.generation_spec import GenerationSpec
from factory.errors import Capacity

OnStep = Callable[[int, int], None]

ENGINES = {
    "zimage": "factory.workers.engines.zimage:ZImageEngine",
    "simulated": "factory.workers.engines.simulated:SimulatedEngine",
}


class Pipeline(Protocol):
    """One loaded checkpoint. `bytes` is what it takes of the memory that the cache counts. Not thread-safe: see Gpu."""

    @property
    def bytes(self) -> int: ...

    @property
    def lora_key(self) -> str:
        """The `lora_key` of the LoRAs that are loaded now, which `claim_job` prefers."""
        ...

    def generate(self, spec: GenerationSpec, *, on_step: OnStep) -> Picture:
        """Draw one picture; the same spec gives the same pixels on the same machine.

        `on_step(done, total)` runs after each evaluation and may raise to stop; the pipeline stays usable.
        Raises Permanent (the order), BadLora, BadPicture (not finite), Capacity (OutOfVram, or a LoRA that is not here).
        """
        ...


class Engine(Protocol):
    """A way to load checkpoints."""

    def footprint(self, path: Path) -> int:
        """Bytes that the checkpoint will take once loaded. Raises BadCheckpoint."""
        ...

    def load(self, path: Path) -> Pipeline:
        """Load the checkpoint in folder `path`. Raises BadCheckpoint, OutOfVram."""
        ...


def open_engine(name: str, **options: Any) -> Engine:
    """Make the engine called `name`; its libraries are imported here and not before.

    Raises Capacity when this worker does not know the engine or lacks its libraries: another worker may have them.
    """
    if name not in ENGINES:
        raise Capacity(f"engine {name!r} is unknown to this worker; known: {', '.join(sorted(ENGINES))}")
    module, noun = ENGINES[name].split(":")
    try:
        return cast(Engine, getattr(import_module(module), noun)(**options))
    except (ImportError, OSError) as error:
        raise Capacity(f"engine {name!r} does not load on this worker: {error}; install requirements/engine.lock") from error
