"""plan_catalogue: a catalogue beside what there is: which of its pictures are there, in work, missing, stale or blocked. Writes nothing."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any

from sqlalchemy import ColumnElement, Text, any_, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY, distinct_on
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.batch import Batch
from factory.domain.catalogue import Catalogue
from factory.domain.job import Job
from factory.domain.job_order import JobOrder
from factory.domain.status import JobStatus
from factory.jobs.admit import Admission
from factory.jobs.expected_cost import Speeds, load_speeds
from factory.jobs.judge_cells import JudgedCell, judge_cells
from factory.jobs.match_twins import has_picture

AT_ONCE = 1000
SHOWN = 1000
OPEN = (JobStatus.QUEUED.value, JobStatus.RUNNING.value)
ReadOrder = Callable[[dict[str, Any]], JobOrder]


class CellState(StrEnum):
    """`stale`: its newest job was ordered otherwise. `blocked`: it cannot be ordered as it stands."""

    PRESENT = "present"
    IN_WORK = "in_work"
    MISSING = "missing"
    STALE = "stale"
    BLOCKED = "blocked"


TO_RENDER = (CellState.MISSING, CellState.STALE)


@dataclass(frozen=True)
class Newest:
    """The newest job of a cell."""

    id: uuid.UUID
    status: str
    spec: dict[str, Any]
    spec_sha256: str
    error: dict[str, Any] | None
    has_picture: bool


@dataclass(frozen=True)
class PlannedCell:
    """`why` says what blocks it, or what has changed since `job` was ordered."""

    judged: JudgedCell
    state: CellState
    why: list[dict[str, Any]] = field(default_factory=list)
    job: Newest | None = None


@dataclass
class Plan:
    """Counts of all cells; of those that are not present the first SHOWN."""

    rows: int = 0
    counts: Counter[CellState] = field(default_factory=Counter)
    gpu_seconds: float = 0.0
    cells: list[PlannedCell] = field(default_factory=list)

    @property
    def images(self) -> int:
        return self.counts.total()

    @property
    def to_render(self) -> int:
        return sum(self.counts[state] for state in TO_RENDER)

    def add(self, cell: PlannedCell, speeds: Speeds) -> None:
        self.counts[cell.state] += cell.judged.cells
        if cell.judged.spec is not None and cell.state in TO_RENDER:
            self.gpu_seconds += speeds.cost_of(cell.judged.spec)
        if cell.state is not CellState.PRESENT and len(self.cells) < SHOWN:
            self.cells.append(cell)


def plan_catalogue(
    db: Database, *, tenant: str, catalogue: Catalogue, rows: Iterable[tuple[int, Any]], admission: Admission, read: ReadOrder,
    on_cell: Callable[[PlannedCell], None] = lambda _: None,
) -> Plan:  # fmt: skip
    """`rows` are numbered from 1; `read` makes an order of a cell or raises Invalid. Raises Invalid for no rows and for too many cells."""
    with db.transaction() as session:
        speeds = load_speeds(session)
    plan = Plan()
    judged = judge_cells(catalogue, _counted(rows, plan), admission, read)
    while chunk := list(islice(judged, AT_ONCE)):
        with db.transaction() as session:
            found = newest_jobs(
                session, tenant=tenant, catalogue=catalogue.name, keys=[cell.key for cell in chunk if cell.key and cell.spec]
            )
        for cell in chunk:
            planned = compare(cell, found.get(cell.key or ""))
            plan.add(planned, speeds)
            on_cell(planned)
    return plan


def _counted(rows: Iterable[tuple[int, Any]], plan: Plan) -> Iterator[tuple[int, Any]]:
    for row in rows:
        plan.rows += 1
        yield row


def newest_jobs(session: Session, *, tenant: str, catalogue: str, keys: list[str]) -> dict[str, Newest]:
    """Of each cell the job that was ordered last for this catalogue; what a retry replaced does not count."""
    pictured: ColumnElement[bool] = has_picture(func.coalesce(Job.twin_id, Job.id))
    statement = (
        select(Job.cell, Job.id, Job.status, Job.spec, Job.spec_sha256, Job.error, pictured.label("pictured"))
        .join(Batch, Batch.id == Job.batch_id)
        .where(Job.tenant == tenant, Job.cell == any_(literal(keys, ARRAY(Text))), Batch.catalogue == catalogue, Job.superseded.is_(False))
        .ext(distinct_on(Job.cell))
        .order_by(Job.cell, Job.id.desc())
    )
    return {str(row[0]): Newest(*row[1:]) for row in session.execute(statement)}


def compare(cell: JudgedCell, newest: Newest | None) -> PlannedCell:
    """What a cell lacks, and why."""
    if cell.spec is None or cell.problems:
        return PlannedCell(cell, CellState.BLOCKED, [problem.as_dict() for problem in cell.problems], newest)
    state = state_of(newest, cell.spec.sha256, cell.spec.policy_version)
    if newest is None or state in (CellState.PRESENT, CellState.IN_WORK):
        return PlannedCell(cell, state, job=newest)
    if state is CellState.STALE:
        return PlannedCell(cell, state, _changes(newest.spec, cell.spec.as_json()), newest)
    return PlannedCell(cell, state, [newest.error or {}] if state is CellState.BLOCKED else [_came_to_nothing(newest)], newest)


def state_of(newest: Newest | None, spec_sha256: str, policy_version: str) -> CellState:
    """What a cell that could be ordered so has already."""
    if newest is None:
        return CellState.MISSING
    if newest.spec_sha256 != spec_sha256:
        return CellState.STALE
    if newest.status in OPEN:
        return CellState.IN_WORK
    if newest.status == JobStatus.SUCCEEDED.value and newest.has_picture:
        return CellState.PRESENT
    # The same rules would refuse it again.
    refused = newest.status == JobStatus.REJECTED.value and newest.spec.get("policy_version") == policy_version
    return CellState.BLOCKED if refused else CellState.MISSING


def _changes(before: dict[str, Any], after: dict[str, Any]) -> list[dict[str, Any]]:
    names = [name for name in after if name != "policy_version" and before.get(name) != after[name]]
    return [{"code": "changed", "pointer": f"/{name}", "detail": f"{name} is another than when it was ordered last"} for name in names]


def _came_to_nothing(newest: Newest) -> dict[str, Any]:
    gone = newest.status == JobStatus.SUCCEEDED.value
    detail = "its picture was deleted when its retention ended" if gone else f"its last job ended as {newest.status}"
    return {"code": "not_delivered", "pointer": "", "detail": detail}
