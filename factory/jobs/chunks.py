"""chunks: a large batch is changed some thousand rows at a time, each time in a transaction of its own, so that claims go on beside it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, func, select, tuple_, update
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.job import Job

CHUNK = 5000
JOBS = Job.__table__
ORDER = (JOBS.c.row_no, JOBS.c.id)
After = tuple[int, uuid.UUID]
# Changes the next rows behind a place; returns how many, and the place of the last. None: do no more.
Step = Callable[[Session, After], tuple[int, After] | None]


def in_chunks(db: Database, step: Step) -> int:
    """Until a step found fewer rows than a chunk holds; returns how many there were in all."""
    done, after = 0, (-1, uuid.UUID(int=0))
    while True:
        with db.transaction() as session:
            found = step(session, after)
        if found is None:
            return done
        done += found[0]
        if found[0] < CHUNK:
            return done
        after = found[1]


def next_rows(where: Sequence[ColumnElement[bool]], after: After, *columns: Any) -> Select[Any]:
    """The next rows of a batch in its order, locked. What somebody else holds is left out: it is being claimed or ended."""
    # The first condition is for the index, which does not hold the id.
    rest = [*where, JOBS.c.row_no >= after[0], tuple_(*ORDER) > after]
    statement: Any = select(*ORDER, *columns).where(*rest).order_by(*ORDER).limit(CHUNK).with_for_update(skip_locked=True)
    found: Select[Any] = statement
    return found


def change_rows(session: Session, where: Sequence[ColumnElement[bool]], after: After, values: Mapping[str, Any]) -> tuple[int, After]:
    """Write the same expressions into the next rows."""
    picked = next_rows(where, after).cte("picked")
    changed = update(Job).where(JOBS.c.id == picked.c.id).values(dict(values)).returning(*ORDER).cte("changed")
    last: Any = select(func.count().over().label("jobs"), changed).order_by(changed.c.row_no.desc(), changed.c.id.desc()).limit(1)
    row = session.execute(last).first()
    return (row.jobs, (row.row_no, row.id)) if row else (0, after)
