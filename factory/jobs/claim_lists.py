"""claim_lists: the ordered lists that claim_job reads. The first one that has a job gives the head, whose tenant's next turn is taken.

Every list is the start of one index from its mark on, so its price is the same for ten jobs and a million. Text, not expressions: it is
sent for every picture, and a server that has planned it need not plan it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import TextClause, text

# From a comparison of policies on the same arrivals, which `factory simulate --against-all` repeats.
# An interactive job waits so long for a worker that holds its checkpoint: the cheapest load, from pinned memory. Less where pictures are quick:
# each worker asks once for each of its pictures, so whoever holds it has been here by then.
W_SECONDS = 1.5
MIN_RUN = 30  # pictures between two swaps: loads of 7.5 s then cost at most 12 % of bulk's time, without it a third
OVERDUE_SECONDS = 300  # bulk of another checkpoint waits so long before it may cost a load
LORA_RUN = 30  # pictures with the same LoRAs before the others of the checkpoint get their turn
INTERACTIVE_RUN = 20  # interactive pictures before bulk goes first once, so that a busy page cannot stop it
JOIN_ROWS = 16  # a second worker loads for bulk where so many rows wait: 8 let an order of 20 wake too many, 24 helped no more
JOIN_SECONDS = 10  # … or once they have waited for about one load from disk and a picture
AVOIDED_SECONDS = 60  # a worker that could not hold a job leaves it to the others for this long; if there are none, it tries again

WAITING = "j.status = 'queued' AND j.hold IS NULL"
LOCK = " FOR UPDATE OF j SKIP LOCKED"
ON_DISK = "c.name <> ALL(CAST(:lacks AS text[]))"
# `{now}` stays: tests have their own clock.
TAKEABLE = (
    "(j.not_before IS NULL OR j.not_before <= {now}) AND (j.expires_at IS NULL OR j.expires_at > {now})"
    " AND (j.avoid_worker IS NULL OR j.avoid_worker <> :worker OR j.not_before <= {now}"
    f" - make_interval(secs => {AVOIDED_SECONDS}))"
)


@dataclass(frozen=True)
class Run:
    """What a worker has been doing: pictures since its last load, with these LoRAs, interactive ones in a row. As a new worker, unless said.

    `lacks` names the checkpoints that its disk does not have. `patience`: see W_SECONDS. `loading`: one is on its way
    to it.
    """

    since_swap: int = 0
    lora_key: str = ""
    lora_run: int = 0
    interactive_run: int = 0
    offpeak_open: bool = False
    lacks: tuple[str, ...] = ()
    patience: float = W_SECONDS
    loading: bool = False


@lru_cache(maxsize=256)
def claim_statement(
    resident: int,
    *,
    same_lora: bool,
    may_swap: bool,
    bulk_first: bool,
    offpeak: bool,
    now: str,
    lacking: bool = False,
    loading: bool = False,
    spares: bool = False,
) -> TextClause:
    """(head id, head vft, turn id, turn vft), locked; no row when nothing can be taken. Binds: worker, patience, lora_key, r0 … and what `now` needs.

    `resident` is how many checkpoints the worker holds; r0 is the one in use. With `lacking`, jobs of the checkpoints in `lacks` are left out.
    `loading`: a checkpoint is on its way, and none is loaded behind it: the job would wait for both, and others are sooner free.
    `spares`: of a few rows all but the first of their order are left to others for a while.
    """
    loads = not (loading and resident)
    interactive = [*_resident("interactive", resident), *([_waited(lacking=lacking)] if loads else [])]
    bulk = [*([_overdue(lacking=lacking)] if may_swap and resident else []), *_near("bulk", resident, same_lora=same_lora)]
    lists = [*bulk, *interactive] if bulk_first else [*interactive, *bulk]
    if loads:
        lists += [_any("interactive", lacking=lacking), _worth(lacking=lacking) if spares else _any("bulk", lacking=lacking)]
    if offpeak:
        lists += _near("offpeak", resident, same_lora=same_lora)
        lists += [_any("offpeak", lacking=lacking)] if loads else []
    sql = STATEMENT.replace("{lists}", ",\n".join(lists)).replace("{run}", RUN if resident and same_lora else "false")
    return text(sql.replace("{takeable}", TAKEABLE).replace("{now}", now))


# Among the users of a tenant, too, a run of the same LoRAs is not broken before its end.
RUN = "(head.job).lane <> 'interactive' AND (head.job).checkpoint = :r0 AND (head.job).lora_key = :lora_key"
# A tenant's place goes to whichever of its users is next (`turn`). Without one the head itself is taken.
STATEMENT = """
WITH head AS MATERIALIZED (SELECT coalesce({lists}) AS job),
turn AS MATERIALIZED (
  SELECT t.* FROM head CROSS JOIN LATERAL (
    SELECT j.id, j.vft, j.lora_key FROM jobs AS j
    WHERE j.status = 'queued' AND j.hold IS NULL AND {takeable}
      AND j.tenant = (head.job).tenant AND j.lane = (head.job).lane AND j.checkpoint = (head.job).checkpoint
      AND j.turn >= coalesce((SELECT settled FROM queue_marks AS m
        WHERE m.lane = (head.job).lane AND m.checkpoint = (head.job).checkpoint AND m.tenant = (head.job).tenant), 0)
    ORDER BY j.turn, j.id LIMIT 1 FOR UPDATE OF j SKIP LOCKED
  ) AS t
)
SELECT (head.job).id AS head, (head.job).vft AS head_vft, turn.id AS turn, turn.vft AS turn_vft
FROM head LEFT JOIN turn ON NOT ({run}) OR turn.lora_key = (head.job).lora_key WHERE (head.job).id IS NOT NULL
"""


def _resident(lane: str, resident: int) -> Iterator[str]:
    """The head of each checkpoint that the worker holds, the one in use first."""
    return (_head(lane, checkpoint=f":r{number}") for number in range(resident))


def _near(lane: str, resident: int, *, same_lora: bool) -> Iterator[str]:
    if resident and same_lora:
        yield _head(lane, checkpoint=":r0", more="j.lora_key = :lora_key")
    yield from _resident(lane, resident)


def _waited(*, lacking: bool) -> str:
    """The head of all interactive jobs, once it has waited for W. One behind it waits until it is the head, or is near somebody."""
    late = "h.ready_at <= {now} - make_interval(secs => CAST(:patience AS double precision))"
    if lacking:
        return _best("interactive", f"{ON_DISK} AND {late}")
    head = _head("interactive", columns="j.id, j.ready_at", lock="")
    old = f"(SELECT h.id FROM {head} AS h WHERE {late})"  # noqa: S608 - put together from our own constants
    return _head("interactive", given=f"EXISTS {old}")


def _overdue(*, lacking: bool) -> str:
    """Of the heads of all other checkpoints' bulk that have waited too long, the one that fair share has first."""
    late = f"c.name <> :r0 AND h.ready_at <= {{now}} - make_interval(secs => {OVERDUE_SECONDS})"
    return _best("bulk", f"{ON_DISK} AND {late}" if lacking else late)


def _worth(*, lacking: bool) -> str:
    """Bulk that is worth a load: of many rows, else the first row of its order, else old. An order of 20 rows would wake every idle worker, each
    to load for one picture, and none would be free for people. JOIN_ROWS entries of an index are read for each checkpoint."""
    rows = f"SELECT FROM jobs AS j WHERE {WAITING} AND j.lane = 'bulk' AND j.checkpoint = c.name AND j.vft >= h.vft ORDER BY j.vft, j.id"
    many = f"(SELECT EXISTS ({rows} LIMIT 1 OFFSET {JOIN_ROWS - 1}) AS so)"
    first = "(h.batch_id IS NULL OR h.row_no = (SELECT f.row_no FROM jobs AS f WHERE f.batch_id = h.batch_id ORDER BY f.row_no LIMIT 1))"
    enough = f"(m.so OR h.ready_at <= {{now}} - make_interval(secs => {JOIN_SECONDS}))"
    worth = f"({enough} OR {first})"
    how = {"more": f"CROSS JOIN LATERAL {many} AS m", "order": "m.so DESC, ", "only": f"CASE WHEN NOT {enough} THEN h.id END"}
    return _best("bulk", f"{ON_DISK} AND {worth}" if lacking else worth, **how)


def _any(lane: str, *, lacking: bool) -> str:
    """The head of a lane. Without some checkpoints it is looked for by checkpoint: any number of their jobs may stand first."""
    return _best(lane, ON_DISK) if lacking else _head(lane)


def _best(lane: str, where: str, *, more: str = "", order: str = "", only: str = "CAST(NULL AS uuid)") -> str:
    """Of the heads of all checkpoints that `where` lets through, the one that fair share has first, after `order`. If somebody takes it
    meanwhile the next one of its checkpoint is taken, unless `only` names it."""
    head = _head(lane, checkpoint="c.name", columns="j.id, j.vft, j.ready_at, j.batch_id, j.row_no", lock="")
    heads = f"checkpoints AS c CROSS JOIN LATERAL {head} AS h {more}"
    chosen = f"SELECT c.name, {only} AS only FROM {heads} WHERE {where} ORDER BY {order}h.vft, h.id LIMIT 1"  # noqa: S608 - as above
    locked = _head(lane, checkpoint="c.name", more="(c.only IS NULL OR j.id = c.only)")
    return f"(SELECT o.job FROM ({chosen}) AS c CROSS JOIN LATERAL {locked} AS o(job))"  # noqa: S608 - as above


def _head(lane: str, *, checkpoint: str = "", more: str = "true", given: str = "true", columns: str = "j AS job", lock: str = LOCK) -> str:
    """The first job of a lane that is open, or of one checkpoint in it. `given` is asked once, not for each job."""
    where = f"j.checkpoint = {checkpoint}" if checkpoint else "true"
    return f"""(SELECT {columns} FROM jobs AS j WHERE {WAITING} AND j.lane = '{lane}' AND {where} AND {more} AND {{takeable}}
    AND j.vft >= coalesce((SELECT settled FROM queue_marks AS m WHERE m.lane = '{lane}' AND m.checkpoint = {checkpoint or "''"} AND m.tenant = ''), 0)
    AND NOT EXISTS (SELECT FROM lanes AS l WHERE l.lane = '{lane}' AND l.paused_at IS NOT NULL) AND {given}
    ORDER BY j.vft, j.id LIMIT 1{lock})"""  # noqa: S608 - as above
