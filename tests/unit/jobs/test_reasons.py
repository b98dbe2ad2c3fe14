"""Every reason to wait says what would change it, where anything would."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from factory.domain.job import Job
from factory.domain.lane_state import LaneState
from factory.domain.worker_presence import WorkerPresence
from factory.jobs.explain import begins_within
from factory.jobs.place_in_line import Place
from factory.jobs.reasons import Around, of_ended, of_running, of_waiting

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SOON = NOON + timedelta(seconds=30)


def job(**changes: Any) -> Job:
    usual = {"id": uuid.uuid4(), "tenant": "acme", "status": "queued", "lane": "bulk", "checkpoint": "default", "attempt": 0}
    return Job(**{**usual, "ready_at": NOON - timedelta(seconds=100), "cost": 2.0, **changes})


def worker(name: str, *resident: str, since_swap: int = 7) -> WorkerPresence:
    return WorkerPresence(name=name, resident=list(resident), lora_key="", since_swap=since_swap, started_at=NOON, seen_at=NOON)


def around(*workers: WorkerPresence, **changes: Any) -> Around:
    return Around(now=NOON, workers=workers, silence=timedelta(seconds=60), **changes)


def codes(found: Job, about: Around) -> list[str]:
    return [reason.code for reason in of_waiting(found, about)]


@pytest.mark.parametrize(
    ("changes", "about", "expected"),
    [
        ({}, around(), ["no_worker"]),
        ({}, around(worker("w1", "default"), place=Place(0, 0, 0, 0)), ["next"]),
        ({}, around(worker("w1", "default"), place=Place(3, 1, 6, 4)), ["in_line"]),
        ({}, around(worker("w1", "other"), place=Place(0, 0, 0, 0)), ["checkpoint_not_loaded", "next"]),
        ({"lane": "interactive"}, around(worker("w1")), ["checkpoint_not_loaded"]),
        ({"expires_at": NOON}, around(worker("w1", "default")), ["expired"]),
        ({"not_before": SOON, "attempt": 1}, around(worker("w1", "default")), ["backoff"]),
        ({"not_before": SOON, "hold": "twin"}, around(worker("w1", "default")), []),
        ({"not_before": NOON, "avoid_worker": "w1", "attempt": 1}, around(worker("w1", "default")), ["worker_avoided"]),
        ({"not_before": NOON - timedelta(seconds=60), "avoid_worker": "w1"}, around(worker("w1", "default")), []),
        ({"not_before": SOON, "hold": "scheduled"}, around(worker("w1", "default")), []),
        ({}, around(worker("w1", "default"), paused=LaneState(lane="bulk", paused_at=NOON, paused_by="ops")), ["lane_paused"]),
        ({"lane": "offpeak"}, around(worker("w1", "default"), opens_at=SOON), ["outside_window"]),
    ],
)
def test_what_keeps_a_job(changes, about, expected):
    assert codes(job(**changes), about) == expected


def test_the_swap_rule_is_told_with_its_numbers():
    (reason,) = of_waiting(job(), around(worker("w1", "other", since_swap=12), worker("w2", "third", since_swap=4)))
    assert "30 pictures" in reason.message
    assert "(now 12)" in reason.message
    assert "300 s (now 100)" in reason.message
    assert "other or third" in (reason.change or "")


def test_an_avoided_worker_is_no_matter_for_advice_where_there_are_others():
    both = around(worker("w1", "default"), worker("w2", "default"))
    alone = around(worker("w1", "default"))
    avoided = job(not_before=NOON, avoid_worker="w1", attempt=1)
    assert [reason.change is None for about in (both, alone) for reason in of_waiting(avoided, about)] == [True, False]


def test_the_counterfactual_is_told_only_where_it_helps():
    holder = worker("w1", "default")
    behind = next(of_waiting(job(), around(holder, place=Place(500, 20, 1000, 900), interactive=3)))
    assert "500 jobs go before it, 20 of them your own" in behind.message
    assert behind.change == "as interactive it would be after 3 others"
    assert next(of_waiting(job(), around(holder, place=Place(5, 0, 10, 9)))).change == "as interactive it would be next"
    assert next(of_waiting(job(), around(holder, place=Place(5, 0, 10, 9), interactive=5))).change is None
    assert "more than 10000" in next(of_waiting(job(), around(holder, place=Place(10_000, 0, 1, 1, more=True)))).message


def test_when_it_may_begin():
    two = (worker("w1", "default"), worker("w2", "default"))
    assert begins_within(job(), around(*two, place=Place(10, 0, 20.0, 8.0))) == (4, 12)
    assert begins_within(job(not_before=SOON), around(*two, place=Place(0, 0, 0.0, 0.0))) == (30, 32)
    assert begins_within(job(lane="interactive"), around(worker("w1"), place=Place(0, 0, 0.0, 0.0))) == (0, 12)
    assert begins_within(job(), around(worker("w1"), place=Place(0, 0, 0.0, 0.0))) == (0, 212)
    assert begins_within(job(), around(place=Place(1, 0, 1.0, 1.0))) is None
    assert begins_within(job(), around(*two)) is None
    assert begins_within(job(), around(*two, place=Place(10_000, 0, 1.0, 1.0, more=True))) is None


def test_what_has_ended_or_is_in_work_waits_for_nothing():
    failed = of_ended(job(status="failed", finished_at=NOON, error={"code": "permanent", "detail": "it broke"}))
    assert (failed.code, failed.change) == ("ended", "order it again")
    assert "it broke" in failed.message
    assert of_ended(job(status="succeeded", finished_at=NOON)).change is None
    assert "replay" in (of_ended(job(status="failed", dead_lettered_at=NOON)).change or "")
    running = of_running(job(status="running", worker="w1", phase="generating", started_at=NOON))
    assert ("w1" in running.message, "generating" in running.message) == (True, True)
