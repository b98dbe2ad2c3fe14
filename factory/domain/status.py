"""The state machine of a job: which status may follow which."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """`rejected`: a rule said no. `failed`: something broke."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    REJECTED = "rejected"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"


class Phase(StrEnum):
    """What a running job is doing. A worker that vanishes while it loads or generates may have died of that job."""

    CLAIMED = "claimed"
    LOADING = "loading"
    GENERATING = "generating"
    FINISHING = "finishing"


DRAWING = frozenset({Phase.LOADING, Phase.GENERATING})


class Lane(StrEnum):
    """Who waits for the picture: a person, or an order."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


S = JobStatus
TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    S.QUEUED: frozenset({S.RUNNING, S.CANCELED, S.EXPIRED}),
    S.RUNNING: frozenset({S.SUCCEEDED, S.REJECTED, S.FAILED, S.CANCELED, S.QUEUED}),
    S.FAILED: frozenset({S.QUEUED}),
    S.SUCCEEDED: frozenset(),
    S.REJECTED: frozenset(),
    S.CANCELED: frozenset(),
    S.EXPIRED: frozenset(),
}
TERMINAL = frozenset({S.SUCCEEDED, S.REJECTED, S.FAILED, S.CANCELED, S.EXPIRED})


def sources(to: JobStatus) -> list[JobStatus]:
    """Every status from which a job may become `to`."""
    return [status for status, following in TRANSITIONS.items() if to in following]
