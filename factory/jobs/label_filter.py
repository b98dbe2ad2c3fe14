"""LabelFilter: what batches and jobs can both be found by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement

from factory.domain.batch import Batch
from factory.domain.job import Job


@dataclass(frozen=True, kw_only=True)
class LabelFilter:
    """Empty fields do not filter. Times are aware."""

    project: str | None = None
    user: str | None = None
    campaign: str | None = None
    cost_centre: str | None = None
    tag: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    metadata: tuple[tuple[str, str], ...] = ()

    def on(self, table: type[Batch | Job]) -> list[ColumnElement[bool]]:
        equal: dict[Any, Any] = {
            table.project: self.project,
            table.end_user: self.user,
            table.campaign: self.campaign,
            table.cost_centre: self.cost_centre,
        }
        found: list[ColumnElement[bool]] = [column == value for column, value in equal.items() if value is not None]
        if self.tag is not None:
            found.append(table.tags.contains([self.tag]))
        if self.since is not None:
            found.append(table.created_at >= self.since)
        if self.until is not None:
            found.append(table.created_at < self.until)
        if self.metadata:
            found.append(table.customer_metadata.contains(dict(self.metadata)))
        return found
