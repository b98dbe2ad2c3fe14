"""check_history: reads the audit log of a finished factory as an auditor would, and says what cannot have happened."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from itertools import groupby
from typing import Any

WHO = {
    "job.submitted": "key",
    "job.started": "worker",
    "job.succeeded": "worker",
    "job.retried": "worker",
    "job.released": "worker",
    "job.requeued": "upkeep",
}
EVENTS = """SELECT job_id, action, was, became, attempt, actor_kind, actor FROM audit_events
            WHERE job_id IS NOT NULL ORDER BY job_id, id"""


def check_history(events: Iterable[dict[str, Any]], delivered: dict[uuid.UUID, int]) -> None:
    """`events` as EVENTS selects them; `delivered` is the attempt of each job's asset. Every job must have succeeded, once.

    Raises AssertionError that names the job and what is wrong with it.
    """
    told = set()
    for job, mine in groupby(events, key=lambda event: event["job_id"]):
        told.add(job)
        fault = _fault(list(mine), delivered.get(job))
        assert not fault, f"job {job}: {fault}"
    assert told == set(delivered), "jobs without a history, or without an asset"


def _fault(events: list[dict[str, Any]], delivered: int | None) -> str:
    status, attempt, holder = None, 0, None
    for event in events:
        action = event["action"]
        if event["was"] != status:
            return f"{action} follows {status}, and says it was {event['was']}"
        if event["actor_kind"] != WHO.get(action):
            return f"{action} by {event['actor_kind']}"
        if event["attempt"] != attempt + (action == "job.started"):
            return f"{action} with attempt {event['attempt']} after {attempt}"
        if event["actor_kind"] == "worker" and action != "job.started" and event["actor"] != holder:
            return f"{event['actor']} ends what {holder} holds"
        status, attempt = event["became"], event["attempt"]
        holder = event["actor"] if action == "job.started" else None
    succeeded = sum(event["became"] == "succeeded" for event in events)
    if (status, succeeded) != ("succeeded", 1):
        return f"it stands at {status} and succeeded {succeeded} times"
    return "" if attempt == delivered else f"attempt {attempt} succeeded, the asset is of {delivered}"
