"""How a batch stands, as lines of a table; and what could be done when there was nothing to retry."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from factory.cli.output import count, moment, status

TROUBLES = ("failed", "rejected", "expired", "canceled")
LISTED = ("id", "status", "project", "delivered", "of", "not delivered", "refused", "per minute", "created")
SAID = ("id", "external_id", "project", "campaign", "priority", "total", "rows_refused")
MOMENTS = ("created_at", "paused_at", "ended_at", "deadline")
KEPT = {True: "likely", False: "not likely", None: None}


def in_list(batch: dict[str, Any]) -> list[Any]:
    """Its cells under LISTED."""
    counts = batch["counts"]
    missing = sum(counts[name] for name in TROUBLES)
    numbers = [counts["succeeded"], batch["total"], missing or None, batch["rows_refused"] or None, batch.get("rate_per_min")]
    return [batch["id"], status(batch["status"]), batch["project"], *numbers, moment(batch["created_at"])]


def by_itself(batch: dict[str, Any]) -> list[tuple[str, Any]]:
    """Names and values; what there is none of is left out."""
    finish = batch.get("finish") or {}
    rows: list[tuple[str, Any]] = [(name, batch.get(name)) for name in SAID]
    rows += [("status", status(batch["status"])), *batch["counts"].items(), ("per minute", batch.get("rate_per_min"))]
    rows += [("likely finish", moment(finish.get("p50"))), ("nine in ten finish by", moment(finish.get("p90")))]
    rows += [(name.removesuffix("_at"), moment(batch.get(name))) for name in MOMENTS]
    rows += [("deadline kept", KEPT[batch.get("deadline_kept")]), ("send again from row", batch.get("next_row"))]
    if problem := batch.get("problem"):
        rows += [("problem", f"{problem['detail']} [{problem['code']}]")]
    return [row for row in rows if row[1] not in (None, 0)]


def why_nothing_was_retried(batch: dict[str, Any], asked: list[str]) -> Iterator[str]:
    """`asked`: the statuses that were named; without any, only what failed or expired is retried."""
    remedies = {} if asked else {"rejected": "`--change NAME=VALUE`", "canceled": "`--status canceled`"}
    for name, remedy in remedies.items():
        if number := batch["counts"].get(name):
            yield f"{count(number, 'picture')} {name}: {remedy} retries {'it' if number == 1 else 'them'}"
    if refused := batch["rows_refused"]:
        yield f"{count(refused, 'refused row')} {'is no job' if refused == 1 else 'are no jobs'}; order {'it' if refused == 1 else 'them'} anew"
