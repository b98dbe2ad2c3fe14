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
    """Who waits for the picture: a person, an order, or nobody before the cheap hours."""

    INTERACTIVE = "interactive"
    BULK = "bulk"
    OFFPEAK = "offpeak"


class Priority(StrEnum):
    """What a customer may ask for. `standard` shares the lane of `bulk` with four times its weight."""

    INTERACTIVE = "interactive"
    STANDARD = "standard"
    BULK = "bulk"
    OFFPEAK = "offpeak"

    @property
    def lane(self) -> Lane:
        return Lane.BULK if self is Priority.STANDARD else Lane(self.value)

    @property
    def weight(self) -> float:
        return 4.0 if self is Priority.STANDARD else 1.0


class Hold(StrEnum):
    """Why a queued job is not offered to workers yet. Upkeep lets it go when the reason is gone."""

    SCHEDULED = "scheduled"  # its `not_before` has not come
    PAUSED = "paused"  # its batch is paused
    CAPPED = "capped"  # its tenant or user has as many pictures in work as allowed
    TWIN = "twin"  # an equal job is being drawn; this one will deliver the same picture


S = JobStatus
TRANSITIONS: dict[JobStatus, frozenset[JobStatus]] = {
    S.QUEUED: frozenset({S.RUNNING, S.CANCELED, S.EXPIRED, S.SUCCEEDED}),  # succeeded: by its twin's picture
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
