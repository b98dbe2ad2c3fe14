"""taken_ids: rows of an order whose external id an earlier job has."""

from __future__ import annotations

from sqlalchemy import Text, any_, literal, select
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session

from factory.domain.job import Job
from factory.errors import Invalid, Problem
from factory.jobs.prepare_batch import PreparedBatch


def taken_ids(session: Session, tenant: str, prepared: PreparedBatch) -> dict[str, int]:
    """The external ids, and the rows that carry them."""
    if not prepared.external_ids:
        return {}
    taken: dict[str, int] = {}
    for some in prepared.external_ids.chunks():
        # One array: a parameter for each would be more than the protocol's 65 535.
        names = literal(list(some), ARRAY(Text))
        found = session.scalars(select(Job.external_id).where(Job.tenant == tenant, Job.external_id == any_(names)))
        taken |= {name: some[name] for name in found if name is not None}
    return {name: number for name, number in taken.items() if prepared.next_row is None or number < prepared.next_row}


def already_ordered(number: int, name: str) -> Problem:
    """What such a row is told."""
    message = f"external_id {name!r} belongs to an earlier job; look it up instead of ordering it again"
    return Problem("external_id_taken", message, f"/rows/{number}/external_id", name, {"row": number})


def nothing_new(taken: dict[str, int]) -> Invalid:
    """What an order is told of which no row is left."""
    problems = [already_ordered(number, name) for name, number in list(taken.items())[:100]]
    return Invalid("every row was ordered before", *problems, code="no_valid_rows")
