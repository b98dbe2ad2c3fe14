"""Step: one thing that is checked before a picture is drawn or done to it afterwards."""

from __future__ import annotations

from enum import IntEnum

from factory.domain.draft import Draft
from factory.domain.generation_spec import GenerationSpec


class Phase(IntEnum):
    """Where a step belongs; a chain never goes back, so that nothing touches bytes that were already hashed."""

    PIXELS = 0
    ENCODE = 1
    BYTES = 2
    SEAL = 3


class Step:
    """Both hooks do nothing: a step overrides the one it needs. `name` is unique in a chain."""

    name: str = "step"
    phase: Phase = Phase.PIXELS

    def check(self, spec: GenerationSpec) -> None:
        """Called at admission and again by the worker. Raises Refused when a rule forbids the spec."""

    def apply(self, draft: Draft) -> None:
        """Change the draft in place and add facts. No I/O. Raises BadPicture when the draft cannot be finished."""
