"""WorkerRun: what a GPU worker has been drawing, for its next claim and its heartbeat."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from factory.domain.claim import Claim
from factory.domain.status import Lane
from factory.jobs.claim_lists import W_SECONDS, Run
from factory.jobs.learn_speeds import STAGES

NEWEST = 0.2  # what the newest picture counts in the mean


@dataclass
class WorkerRun:
    """Counted when a job is claimed, since the next claim is made before its picture is drawn. `is_offpeak` tells the hour,
    `lacks` names checkpoints that were not on this worker's disk when it last looked, `picture_seconds` is how long a picture takes here.
    `loading`: a checkpoint is on its way for a job that is claimed already."""

    is_offpeak: Callable[[], bool]
    since_swap: int = 0
    lora_key: str = ""
    lora_run: int = 0
    interactive_run: int = 0
    lacks: set[str] = field(default_factory=set)
    picture_seconds: float = W_SECONDS
    loading: bool = False

    def next(self) -> Run:
        """What the next claim has to know."""
        lacks, patience = tuple(sorted(self.lacks)), min(W_SECONDS, self.picture_seconds)
        run = self.since_swap, self.lora_key, self.lora_run, self.interactive_run
        return Run(*run, self.is_offpeak(), lacks, patience, self.loading)

    def drew(self, stages: Mapping[str, float]) -> None:
        """How long each stage of a picture took, seconds."""
        seconds = sum(stages.get(stage, 0.0) for stage in STAGES)
        self.picture_seconds += NEWEST * (seconds - self.picture_seconds)

    def claimed(self, claim: Claim, resident: Sequence[str], *, ahead: bool) -> None:
        """What has to be loaded while others are drawn counts when it is turned to."""
        if ahead and claim.spec.checkpoint not in resident:
            self.loading = True
        else:
            self.took(claim, resident)

    def turned_to(self, claim: Claim) -> None:
        """To a job whose checkpoint had to be loaded first."""
        self.loading = False
        self.took(claim, ())

    def took(self, claim: Claim, resident: Sequence[str]) -> None:
        """`resident`: what the worker held, or was loading, when it claimed."""
        near = claim.spec.checkpoint in resident
        # The same LoRAs on another checkpoint are loaded anew.
        again = near and resident[0] == claim.spec.checkpoint and claim.spec.lora_key == self.lora_key
        self.since_swap = self.since_swap + 1 if near else 1
        self.lora_run = self.lora_run + 1 if again else 1
        self.lora_key = claim.spec.lora_key
        self.interactive_run = self.interactive_run + 1 if claim.lane == Lane.INTERACTIVE.value else 0
