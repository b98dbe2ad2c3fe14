"""Chain: the ordered steps between an engine's pixels and a deliverable file."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from time import perf_counter

from factory import metrics
from factory.domain.draft import Draft
from factory.domain.generation_spec import GenerationSpec
from factory.errors import BadPicture
from factory.postprocess.step import Step


class Chain:
    """Runs steps in the given order. Raises ValueError for two steps of one name or steps whose phases go back."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = tuple(steps)
        names = [step.name for step in self.steps]
        if len(set(names)) != len(names):
            raise ValueError(f"steps {names}: a name occurs twice; give each step its own")
        for before, after in pairwise(self.steps):
            if after.phase < before.phase:
                raise ValueError(f"step {after.name!r} ({after.phase.name}) stands after {before.name!r} ({before.phase.name}); swap them")

    def check(self, spec: GenerationSpec) -> None:
        """Raises Refused when any step forbids the spec."""
        for step in self.steps:
            step.check(spec)

    def apply(self, draft: Draft) -> Draft:
        """Finish the draft: afterwards `content` and `sha256` are set, `seconds` holds the wall time of each step.

        `draft.facts["chain"]` lists the steps that ran. A draft that comes back (after a fault) resumes behind the last of them, so
        no label is ever drawn twice. Raises BadPicture when a step refuses the picture or no step encoded and sealed it.
        """
        done: list[str] = draft.facts.setdefault("chain", [])
        for step in self.steps:
            if step.name in done:
                continue
            started = perf_counter()
            step.apply(draft)
            seconds = perf_counter() - started
            draft.seconds[step.name] = seconds
            metrics.chain_seconds.labels(step=step.name).observe(seconds)
            done.append(step.name)
        if draft.content is None or not draft.sha256:
            raise BadPicture(f"the chain {[step.name for step in self.steps]} left no sealed file; it needs an encoder and a digest")
        return draft
