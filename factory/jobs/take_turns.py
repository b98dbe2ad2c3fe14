"""take_turns: an order does not wait until all of an earlier one of the same user is drawn.

What a user's orders have in the line stays as it is, so that neither other users nor other tenants notice: only who of them stands where
is changed, once, when an order comes. Its first rows get every second place where one order waits, every third where two do; with
the weights of their priorities. Rows that gave up a place get the late one in exchange, so no more than MOST rows of others move.
"""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import ceil
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, select, text
from sqlalchemy.orm import Session

from factory.domain.job import WAITING
from factory.domain.status import Priority
from factory.jobs.one_at_a_time import wait_for_lock

MOST = 1000  # rows of an order that take turns; of a longer one the others wait behind what came first, which ends the sooner for it
LOOKED_AT = 10_000  # places that are looked at, from the front
# What a cap holds has its places, too.
IN_LINE = "status = 'queued' AND (hold IS NULL OR hold = 'capped')"
ROW = "id, lane, checkpoint, coalesce(end_user, '') AS member, turn, batch_id, priority"
# Of an order that gets more rows, only those.
MINE = text(
    f"SELECT {ROW} FROM jobs WHERE batch_id = :batch AND created_at = :now AND {IN_LINE} ORDER BY turn, id LIMIT :most"  # noqa: S608 - our own constants
)
BEFORE = "tenant = :tenant AND lane = :lane AND checkpoint = :checkpoint AND turn < :last"
MARK = "FROM queue_marks WHERE tenant = :tenant AND lane = :lane AND checkpoint = :checkpoint"
PLACES = text(f"""
SELECT * FROM (
  (SELECT {ROW} FROM jobs WHERE {WAITING} AND {BEFORE} AND turn >= coalesce((SELECT settled {MARK}), '-infinity')
   ORDER BY turn, id LIMIT :looked_at)
  UNION ALL (SELECT {ROW} FROM jobs WHERE hold = 'capped' AND {BEFORE} ORDER BY turn, id LIMIT :looked_at)
) AS line WHERE member = ANY(CAST(:members AS text[])) AND batch_id IS DISTINCT FROM :batch ORDER BY turn, id
""")  # noqa: S608 - as above
# A worker may have taken it meanwhile, or be about to.
STILL = text(f"""
SELECT job.id FROM unnest(CAST(:ids AS uuid[]), CAST(:turns AS float8[])) AS one (id, turn) CROSS JOIN LATERAL (
  SELECT id FROM jobs WHERE jobs.id = one.id AND jobs.turn = one.turn AND {IN_LINE}
  OFFSET 0 FOR UPDATE SKIP LOCKED
) AS job
""")  # noqa: S608 - as above
# Of what is held the place may lie before the mark: who gets it is lifted (enter_queue).
MOVE = text(f"""
UPDATE jobs SET turn = greatest(given.turn, (SELECT low {MARK}))
FROM unnest(CAST(:ids AS uuid[]), CAST(:turns AS float8[])) AS given (id, turn) WHERE jobs.id = given.id
""")  # noqa: S608 - as above


class Place(NamedTuple):
    """A row in the line of its user."""

    id: uuid.UUID
    lane: str
    checkpoint: str
    member: str
    turn: float
    batch_id: uuid.UUID | None
    priority: str


def lock_turns(session: Session, tenant: str) -> None:
    """Until the end of the transaction no order takes turns with others of this tenant. Who leaves out rows that others hold calls this before:
    rows that give up their places are neither claimed nor ended. After what else it waits for: nothing is waited for behind it."""
    wait_for_lock(session, f"turns:{tenant}")


def take_turns(session: Session, now: ColumnElement[Any], *, tenant: str, batch_id: uuid.UUID) -> None:
    """For the rows that this transaction has written. It has announced itself (`places`) and applied the caps: it waits for no row any more."""
    binds = {"batch": batch_id, "now": session.scalar(select(now)), "most": MOST}
    mine = [Place(*row) for row in session.execute(MINE, binds)]
    lock_turns(session, tenant)
    for (lane, checkpoint), rows in _by(mine, "lane", "checkpoint"):
        named = {"tenant": tenant, "lane": lane, "checkpoint": checkpoint, "batch": batch_id, "last": rows[-1].turn}
        members = sorted({row.member for row in rows})
        earlier = [Place(*row) for row in session.execute(PLACES, {**named, "members": members, "looked_at": LOOKED_AT})]
        pairs = list(exchanges(rows, earlier))
        wanted = {"ids": [other.id for _, other in pairs], "turns": [other.turn for _, other in pairs]}
        still = set(session.scalars(STILL, wanted)) if pairs else set()
        moves = [move for own, other in pairs if other.id in still for move in ((own.id, other.turn), (other.id, own.turn))]
        if moves:
            ids, turns = zip(*moves, strict=True)
            session.execute(MOVE, {**named, "ids": list(ids), "turns": list(turns)})


def exchanges(mine: Sequence[Place], earlier: Sequence[Place]) -> Iterator[tuple[Place, Place]]:
    """Whose places are exchanged: of an order and of what stands before it, both in the order of their turns, lane and checkpoint alike."""
    places = dict(_by(earlier, "member"))
    for key, rows in _by(mine, "member"):
        before = places.get(key, [])
        others = sum({place.batch_id: Priority(place.priority).weight for place in before}.values())
        place = -1
        for nth, row in enumerate(rows, 1):  # rows of one order may differ in priority: no place twice
            place = max(place + 1, ceil(nth * (1 + others / Priority(row.priority).weight)) - 1)
            if place < len(before) and before[place].turn < row.turn:
                yield row, before[place]


def _by(places: Sequence[Place], *names: str) -> list[tuple[tuple[str, ...], list[Place]]]:
    """Grouped, in the order that they have."""
    groups: dict[tuple[str, ...], list[Place]] = defaultdict(list)
    for place in places:
        groups[tuple(getattr(place, name) for name in names)].append(place)
    return list(groups.items())
