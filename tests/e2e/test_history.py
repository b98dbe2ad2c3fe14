"""The history checker finds what it is there for."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.e2e.history import check_history

JOB = uuid.UUID(int=1)


def event(action: str, was: str | None, became: str, attempt: int, kind: str, actor: str) -> dict[str, Any]:
    return {"job_id": JOB, "action": action, "was": was, "became": became, "attempt": attempt, "actor_kind": kind, "actor": actor}


def story() -> list[dict[str, Any]]:
    """A worker vanishes, another one delivers."""
    return [
        event("job.submitted", None, "queued", 0, "key", "fk"),
        event("job.started", "queued", "running", 1, "worker", "a"),
        event("job.requeued", "running", "queued", 1, "upkeep", "requeue"),
        event("job.started", "queued", "running", 2, "worker", "b"),
        event("job.succeeded", "running", "succeeded", 2, "worker", "b"),
    ]


def test_a_true_story_passes() -> None:
    check_history(story(), {JOB: 2})


@pytest.mark.parametrize("lost", range(5))
def test_a_lost_line_is_found(lost: int) -> None:
    told = story()
    del told[lost]
    with pytest.raises(AssertionError):
        check_history(told, {JOB: 2})


@pytest.mark.parametrize("twice", range(5))
def test_a_doubled_line_is_found(twice: int) -> None:
    told = story()
    told.insert(twice, dict(told[twice]))
    with pytest.raises(AssertionError):
        check_history(told, {JOB: 2})


@pytest.mark.parametrize(
    ("at", "change"), [(4, {"actor": "a"}), (3, {"attempt": 1}), (2, {"actor_kind": "worker"}), (4, {"became": "failed"})]
)
def test_a_forged_line_is_found(at: int, change: dict[str, Any]) -> None:
    told = story()
    told[at] |= change
    with pytest.raises(AssertionError):
        check_history(told, {JOB: 2})


def test_another_attempts_asset_and_a_missing_job_are_found() -> None:
    with pytest.raises(AssertionError, match="asset is of 1"):
        check_history(story(), {JOB: 1})
    with pytest.raises(AssertionError, match="without a history"):
        check_history(story(), {JOB: 2, uuid.UUID(int=2): 1})
