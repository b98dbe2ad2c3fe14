"""one_at_a_time: of two transactions that do the same the second waits for the first, or is told to come back."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from factory.errors import Conflict


def wait_for_lock(session: Session, name: str) -> None:
    """Hold the lock of this name until the end of the transaction. Raises OperationalError when its holder takes too long."""
    session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def one_at_a_time(session: Session, name: str, *, busy: str) -> None:
    """Hold the lock of this name until the end of the transaction. Raises Conflict that says `busy` when its holder takes too long."""
    try:
        wait_for_lock(session, name)
    except OperationalError as fault:
        if fault.connection_invalidated:
            raise
        raise Conflict(busy, code="request_in_flight") from fault
