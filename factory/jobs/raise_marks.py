"""raise_marks: claims start ever later in the queue's indexes, and never behind a job that waits (QueueMark).

A mark goes round in three steps, each in a transaction after the one before. Published: `low` rises to what waits first. Stamped:
`horizon` is a transaction id of after that. Settled, once every older transaction has ended: those may have read the `low` of before
and so written behind the new one, but what they wrote is seen now; all others read the new `low`. So `settled` may rise to the
lesser of `low` and what waits first now. Writers announce themselves before they read a mark (enter_queue).
"""

from __future__ import annotations

from sqlalchemy import text

from factory.db import Database
from factory.domain.job import WAITING
from factory.domain.status import Lane

# A mark of a tenant with nothing waiting is kept for so many transactions: orders often come in rows.
IDLE_TRANSACTIONS = 1_000_000
ALONE = text("SELECT pg_try_advisory_xact_lock(hashtextextended('queue_marks', 0))")
NEW = text(f"""
WITH wanted AS (
  SELECT lane, '' AS checkpoint, '' AS tenant FROM unnest(CAST(:lanes AS text[])) AS lane
  UNION ALL SELECT lane, name, '' FROM unnest(CAST(:lanes AS text[])) AS lane CROSS JOIN checkpoints
  UNION ALL SELECT lane, name, tenant FROM shares CROSS JOIN checkpoints WHERE member = '' AND CAST(:tenants AS boolean)
), unmarked AS (
  SELECT * FROM wanted AS w WHERE NOT EXISTS (
    SELECT FROM queue_marks AS m WHERE m.lane = w.lane AND m.checkpoint = w.checkpoint AND m.tenant = w.tenant)
)
INSERT INTO queue_marks (lane, checkpoint, tenant, low, settled)
SELECT lane, checkpoint, tenant, 0, 0 FROM unmarked AS u WHERE CASE
  WHEN checkpoint = '' THEN EXISTS (SELECT FROM jobs AS j WHERE {WAITING} AND j.lane = u.lane)
  WHEN tenant = '' THEN EXISTS (SELECT FROM jobs AS j WHERE {WAITING} AND j.lane = u.lane AND j.checkpoint = u.checkpoint)
  ELSE EXISTS (SELECT FROM jobs AS j WHERE {WAITING} AND j.tenant = u.tenant AND j.lane = u.lane AND j.checkpoint = u.checkpoint) END
ON CONFLICT DO NOTHING
""")  # noqa: S608 - put together from our own constant
# `head`: what waits first, NULL when nothing does. `oldest`: every transaction before it has ended.
FIRST = f"""
SELECT m.lane, m.checkpoint, m.tenant, f.head,
       CAST(CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text) AS bigint) AS oldest
FROM queue_marks AS m LEFT JOIN LATERAL (
  (SELECT vft AS head FROM jobs AS j WHERE m.checkpoint = '' AND {WAITING} AND j.lane = m.lane AND vft >= m.settled ORDER BY vft, id LIMIT 1)
  UNION ALL
  (SELECT vft FROM jobs AS j WHERE m.checkpoint <> '' AND m.tenant = '' AND {WAITING} AND j.lane = m.lane AND j.checkpoint = m.checkpoint
     AND vft >= m.settled ORDER BY vft, id LIMIT 1)
  UNION ALL
  (SELECT turn FROM jobs AS j WHERE m.tenant <> '' AND {WAITING} AND j.tenant = m.tenant AND j.lane = m.lane AND j.checkpoint = m.checkpoint
     AND turn >= m.settled ORDER BY turn, id LIMIT 1)
) AS f ON true
WHERE m.tenant = '' OR CAST(:tenants AS boolean)
"""  # noqa: S608 - as above
# An idle mark keeps its `low`, so its horizon stays valid; it says since when the mark is idle.
RAISE = text(f"""
WITH found AS MATERIALIZED ({FIRST})
UPDATE queue_marks AS m
SET settled = CASE WHEN m.horizon < found.oldest THEN greatest(m.settled, least(m.low, found.head)) ELSE m.settled END,
    low = greatest(m.low, found.head), horizon = NULL
FROM found
WHERE (m.lane, m.checkpoint, m.tenant) = (found.lane, found.checkpoint, found.tenant)
  AND (m.horizon IS NULL OR m.horizon < found.oldest)
  AND (m.low < found.head OR m.settled < least(m.low, found.head))
""")  # noqa: S608 - as above
FORGET = text(f"""
WITH found AS MATERIALIZED ({FIRST})
DELETE FROM queue_marks AS m USING found
WHERE (m.lane, m.checkpoint, m.tenant) = (found.lane, found.checkpoint, found.tenant)
  AND m.tenant <> '' AND found.head IS NULL AND m.horizon < found.oldest - :idle
""")  # noqa: S608 - as above
STAMP = text("UPDATE queue_marks SET horizon = CAST(CAST(pg_current_xact_id() AS text) AS bigint) WHERE horizon IS NULL")


def raise_marks(db: Database, *, tenants: bool = True, forget: bool = True, idle_transactions: int = IDLE_TRANSACTIONS) -> bool:
    """One tick, every few seconds; False when another process is at it. Safe to repeat, to skip and to run twice at once.

    Marks of `tenants` are many, and order nobody but their own users: they may rise more seldom, and idle ones be forgotten more seldom.
    """
    with db.transaction() as session:
        if not session.scalar(ALONE):
            return False
        session.execute(NEW, {"lanes": [lane.value for lane in Lane], "tenants": tenants})
        session.execute(RAISE, {"tenants": tenants})
        if forget:
            session.execute(FORGET, {"tenants": True, "idle": idle_transactions})
    with db.transaction() as session:
        # Alone again, and after what was published is to be seen by everybody: only then may it be stamped.
        if not session.scalar(ALONE):
            return False
        session.execute(STAMP)
    return True
