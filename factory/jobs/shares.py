"""shares: where new jobs come to stand in their lane: start-time fair queueing over tenants, and among the users of each.

A row stands `cost / weight` GPU seconds behind the one before it of the same tenant; the first behind the tenant's last one, but never
before what is served now (QueueMark). A tenant with nothing waiting is owed nothing and owes nothing, except for what it has in work:
so an order that was canceled or reused does not count against the next one. Weights are those of tenant, user and priority. A deadline
changes no weight: whether it is likely to be kept is said when ordering.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy import and_, bindparam, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from factory.db import among
from factory.domain.queue_mark import QueueMark
from factory.domain.share import Allowance, Share
from factory.domain.status import Lane, Priority
from factory.jobs.enter_queue import announce
from factory.jobs.expected_cost import Speeds, load_speeds

SHARES = Share.metadata.tables[Share.__tablename__]
TENANT = ""  # the member that stands for all of a tenant
NOBODY = " "  # jobs that name no user; a user's own name is stripped, so it is never this
MEMBERS = 1000  # users of one order that are told apart; the others share one place, so that memory stays flat
# From the newest end: the entries of what left the queue long ago lie at the other one.
STANDING = text("""
SELECT EXISTS (SELECT FROM (SELECT 1 FROM jobs WHERE status = 'queued' AND hold IS NULL AND tenant = :tenant AND lane = :lane
                            ORDER BY checkpoint DESC, turn DESC LIMIT 1) AS newest)
    OR EXISTS (SELECT FROM jobs WHERE hold IN ('capped', 'paused') AND tenant = :tenant AND lane = :lane)
    OR EXISTS (SELECT FROM shares WHERE tenant = :tenant AND lane = :lane
               AND writer >= CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint)),
  (SELECT coalesce(sum(cost), 0) FROM jobs WHERE status = 'running' AND tenant = :tenant AND lane = :lane)
""")


class Kind(NamedTuple):
    """What matters of a row for its place. `member` is '' when the row names no user."""

    priority: Priority
    member: str
    checkpoint: str
    pixels: int


class Tag(NamedTuple):
    """The place of one row: see Job."""

    vft: float
    turn: float
    cost: float


Demand = Counter[Kind]


@dataclass
class Line:
    """The tags of one tenant or user in one lane: from `start`, now at `at`, reserved until `end`."""

    start: float
    weight: float
    at: float = 0.0
    end: float = 0.0

    def __post_init__(self) -> None:
        self.at = self.end = self.start


class Tags:
    """Gives the rows of one order their places, one after the other."""

    def __init__(self, speeds: Speeds) -> None:
        self.lines: dict[tuple[Lane, str], Line] = {}
        self._speeds = speeds
        self._costs: dict[tuple[str, int], float] = {}

    def cost(self, kind: Kind) -> float:
        """Expected GPU seconds."""
        key = kind.checkpoint, kind.pixels
        if key not in self._costs:
            self._costs[key] = self._speeds.cost(*key)
        return self._costs[key]

    def next(self, kind: Kind) -> Tag:
        """The place of the next row that will be drawn."""
        cost, lane = self.cost(kind), kind.priority.lane
        tenant = self.lines[lane, TENANT]
        user = self.lines.get((lane, kind.member or NOBODY)) or self.lines[lane, NOBODY]
        tenant.at += cost / (tenant.weight * kind.priority.weight)
        user.at += cost / (user.weight * kind.priority.weight)
        return Tag(tenant.at, user.at, cost)

    def reserve(self, demand: Demand) -> None:
        for kind, rows in demand.items():
            lane, cost = kind.priority.lane, self.cost(kind) * rows
            for line in (self.lines[lane, TENANT], self.lines.get((lane, kind.member or NOBODY)) or self.lines[lane, NOBODY]):
                line.end += cost / (line.weight * kind.priority.weight)


def count_kinds(kinds: Iterable[Kind]) -> Demand:
    """How many rows there are of each kind. Of an order with very many users the later ones count as nobody."""
    demand, known = Demand(), {""}
    for kind in kinds:
        if kind.member not in known and len(known) <= MEMBERS:
            known.add(kind.member)
        demand[kind if kind.member in known else kind._replace(member="")] += 1
    return demand


@contextmanager
def places(session: Session, tenant: str, demand: Demand, *, long: bool) -> Iterator[Tags]:
    """Tags for the block that writes the rows.

    A short order keeps its shares locked until its commit. A `long` one would make the tenant's other orders wait for its rows: it
    reserves its places in a transaction of its own and gives them back if it fails, unless somebody stands behind them already.
    """
    writer = announce(session)  # the marks are read after it, and the rows are this transaction's
    if not long:
        yield _take_places(session, tenant, demand)
        return
    with Session(session.get_bind()) as own, own.begin():
        tags = _take_places(own, tenant, demand)
        own.execute(
            update(SHARES).where(SHARES.c.tenant == tenant, SHARES.c.lane.in_({lane for lane, _ in tags.lines})).values(writer=writer)
        )
    try:
        yield tags
    except BaseException:
        with Session(session.get_bind()) as own, own.begin():
            for (lane, member), line in tags.lines.items():
                mine = SHARES.c.tenant == tenant, SHARES.c.lane == lane.value, SHARES.c.member == member
                own.execute(update(SHARES).where(*mine, SHARES.c.finish == line.end).values(finish=line.start))
        raise


def lock_line(session: Session, tenant: str, lane: Lane) -> None:
    """What locks rows of jobs and asks for places afterwards calls this first: an order holds its line when it locks rows (apply_caps)."""
    _lock(session, tenant, lane, [TENANT])


def _take_places(session: Session, tenant: str, demand: Demand) -> Tags:
    tags = Tags(load_speeds(session))
    for lane in sorted({kind.priority.lane for kind in demand}):
        wanted = [kind for kind in demand if kind.priority.lane is lane]
        members = [TENANT, *sorted({NOBODY, *(kind.member or NOBODY for kind in wanted)})]
        finish = _lock(session, tenant, lane, members)
        weights = _weights(session, tenant, members)
        served, turns = _served(session, tenant, lane, sorted({kind.checkpoint for kind in wanted}))
        waits, in_work = session.execute(STANDING, {"tenant": tenant, "lane": lane.value}).one()
        for member in members:
            first = turns if member else served
            owed = finish[member] if waits else min(finish[member], first + in_work / weights.get(member, 1.0))
            tags.lines[lane, member] = Line(max(first, owed), weights.get(member, 1.0))
    tags.reserve(demand)
    ends = [{"lane_": lane.value, "member_": member, "finish_": line.end} for (lane, member), line in tags.lines.items()]
    if ends:
        key = SHARES.c.tenant == tenant, SHARES.c.lane == bindparam("lane_"), SHARES.c.member == bindparam("member_")
        session.execute(update(SHARES).where(*key).values(finish=bindparam("finish_")), ends)
    return tags


def _lock(session: Session, tenant: str, lane: Lane, members: list[str]) -> Mapping[str, float]:
    """What each was given so far. The tenant's row is locked first, here as everywhere: '' comes before every name."""
    mine = select(SHARES.c.member, SHARES.c.finish).where(SHARES.c.tenant == tenant, SHARES.c.lane == lane.value)
    locked = mine.where(among(SHARES.c.member, members)).order_by(SHARES.c.member).with_for_update()
    found = {row[0]: row[1] for row in session.execute(locked)}
    if len(found) < len(members):
        rows = [{"tenant": tenant, "lane": lane.value, "member": member, "finish": 0.0} for member in members]
        session.execute(insert(SHARES).on_conflict_do_nothing(), rows)
        found = {row[0]: row[1] for row in session.execute(locked)}
    return found


def _weights(session: Session, tenant: str, members: list[str]) -> Mapping[str, float]:
    found = select(Allowance.member, Allowance.weight).where(Allowance.tenant == tenant, among(Allowance.member, members))
    return {row[0]: row[1] for row in session.execute(found)}


def _served(session: Session, tenant: str, lane: Lane, checkpoints: list[str]) -> tuple[float, float]:
    """What is served now, in the lane and these checkpoints: by `vft`, and of this tenant by `turn`."""
    of_lane = and_(QueueMark.tenant == "", QueueMark.checkpoint.in_(["", *checkpoints]))
    of_tenant = and_(QueueMark.tenant == tenant, QueueMark.checkpoint.in_(checkpoints))
    rows = session.execute(select(QueueMark.tenant, QueueMark.low).where(QueueMark.lane == lane.value, of_lane | of_tenant)).all()
    lane_low = max((low for whose, low in rows if not whose), default=0.0)
    return lane_low, max((low for whose, low in rows if whose), default=lane_low)
