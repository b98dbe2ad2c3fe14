"""describe_event: a line of the audit log as a webhook tells it: what, when, which, and where to read more. Never a prompt."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from factory.domain.audit_event import AuditAction
from factory.domain.status import TERMINAL
from factory.errors import Invalid, Problem

SUBJECTS = ("job", "batch", "asset", "prompt")
OUTCOMES = tuple(sorted(f"job.{status}" for status in TERMINAL))
BATCH_OUTCOMES = tuple(f"batch.{status}" for status in ("completed", "partially_completed", "failed"))
NAMES = tuple(dict.fromkeys([*(a.value for a in AuditAction if a.value.split(".")[0] in SUBJECTS), *OUTCOMES, *BATCH_OUTCOMES]))
PATTERN = re.compile(rf"\*|(?:{'|'.join(SUBJECTS)})\.\*")
MOST_PATTERNS = 50
EVERYTHING = "*"


def check_events(events: Sequence[str]) -> list[str]:
    """The filter of an endpoint, each pattern once. Raises Invalid for a name that never comes."""
    if not 1 <= len(events) <= MOST_PATTERNS:
        raise Invalid(None, Problem("invalid_value", f"events must be 1 … {MOST_PATTERNS} names, such as batch.ended or job.*", "/events"))
    for number, name in enumerate(events):
        if name not in NAMES and not PATTERN.fullmatch(name):
            known = ", ".join((EVERYTHING, *(f"{subject}.*" for subject in SUBJECTS), *NAMES))
            message = f"events: no event is called {name[:60]!r}; there are {known}"
            raise Invalid(None, Problem("unknown_event", message, f"/events/{number}", name))
    return list(dict.fromkeys(events))


def names_of(event: Any) -> list[str]:
    """By what names a filter finds it, the one that is told first. A job that ends is `job.<status>`, however it came to that.

    `event` has the columns of AuditEvent. Empty for what concerns no customer's order.
    """
    if event.action.split(".")[0] not in SUBJECTS:
        return []
    outcome = f"job.{event.became}" if event.job_id is not None and event.became else ""
    if outcome in OUTCOMES:
        return list(dict.fromkeys((outcome, event.action)))
    ended = f"batch.{event.detail.get('status')}"
    return [event.action, ended] if ended in BATCH_OUTCOMES and event.action == AuditAction.BATCH_ENDED.value else [event.action]


def wants(events: Sequence[str], names: Sequence[str]) -> bool:
    """Does a filter let an event with these names through?"""
    return bool(names) and any(pattern == EVERYTHING or pattern in names or _of_subject(pattern, names) for pattern in events)


def describe_event(event: Any, public_url: str) -> dict[str, Any]:
    """`event` has AuditEvent's columns and `job_external_id`, `batch_external_id`, `asset_id`.

    Links ask for a key; those to a picture last as long as it is kept.
    """
    is_job = event.job_id is not None
    is_batch = not is_job and event.batch_id is not None
    data: dict[str, Any] = {
        "object": "job" if is_job else "batch" if is_batch else "refusal",
        "id": str(event.job_id if is_job else event.batch_id) if is_job or is_batch else None,
        "external_id": event.job_external_id if is_job else event.batch_external_id,
        "batch_id": str(event.batch_id) if event.batch_id else None,
        "sku": event.sku,
        "status": event.became or event.detail.get("status"),
        "action": event.action,
        "event_id": event.id,
        "attempt": event.attempt,
    }
    if isinstance(counts := event.detail.get("counts"), dict):
        data |= {"counts": counts, "rows_refused": event.detail.get("refused", 0)}
    if problem := event.detail.get("problem"):
        data["problem"] = problem
    return told(names_of(event)[0], event.at, data | {"links": _links(event, public_url)})


def told(name: str, at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    return {"type": name, "timestamp": at.astimezone(UTC).isoformat().replace("+00:00", "Z"), "data": data}


def api_link(public_url: str, *parts: object) -> str:
    return "/".join([public_url.rstrip("/") + "/api/v1", *map(str, parts)])


def _links(event: Any, public_url: str) -> dict[str, str]:
    def to(*parts: str | uuid.UUID) -> str:
        return api_link(public_url, *parts)

    batch = {"batch": to("batches", event.batch_id)} if event.batch_id else {}
    if event.job_id is None:
        return {"self": batch["batch"], "jobs": to("batches", event.batch_id, "jobs")} if batch else {"self": to("audit", "events")}
    links = {"self": to("jobs", event.job_id), **batch}
    if event.became == "succeeded" and event.asset_id:
        links |= {"asset": to("assets", event.asset_id), "permanent": to("assets", event.asset_id, "content")}
    return links


def _of_subject(pattern: str, names: Sequence[str]) -> bool:
    return pattern.endswith(".*") and any(name.startswith(pattern[:-1]) for name in names)
