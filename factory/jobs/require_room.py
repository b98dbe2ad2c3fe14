"""require_room: an order of a tenant whose queue is full is turned away, with the time to come back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from factory.errors import Problem, QueueFull
from factory.jobs.queue_memory import QueueMemory
from factory.jobs.room import DEFAULT_MAX_QUEUED, limits_of, retry_after, room_for


@dataclass(frozen=True)
class Room:
    """Of `limit` places `left` are free."""

    limit: int
    left: int


def require_room(
    session: Session,
    now: ColumnElement[Any],
    *,
    tenant: str,
    user: str = "",
    wanted: int = 1,
    default: int = DEFAULT_MAX_QUEUED,
    memory: QueueMemory | None = None,
) -> Room:
    """The room for an order of `wanted` rows, as many of which fit as there are places: at least one. Raises QueueFull when none does.

    Orders of one row, of which many come in a second, bring a `memory`.
    """
    room = room_left(session, tenant=tenant, user=user, default=default, memory=memory)
    if room.left > 0:
        return room
    seconds = retry_after(session, now, tenant=tenant, excess=wanted)
    remedy = f"come back in {seconds} s" if room.limit else "ask an operator for `max_queued`"
    message = f"your queue is full: {room.limit} rows may wait at once; {remedy}, or cancel what is no longer wanted"
    raise QueueFull(message, Problem("queue_full", message, "", wanted), retry_after=seconds, limit=room.limit)


def room_left(
    session: Session, *, tenant: str, user: str = "", default: int = DEFAULT_MAX_QUEUED, memory: QueueMemory | None = None
) -> Room:
    """What is free now, perhaps nothing; of tenant and user whoever has less."""
    limit = min(limits_of(session, tenant=tenant, user=user, default=default).values())
    return Room(limit, room_for(session, tenant=tenant, user=user, default=default, memory=memory))


def no_place(number: int, taken: int) -> Problem:
    """What a row is told that no longer fits."""
    message = (
        f"row {number} has no place: {taken} of the rows that were sent were taken and the queue is full now; send the others again later"
    )
    return Problem("queue_full", message, f"/rows/{number}", number, {"row": number})
