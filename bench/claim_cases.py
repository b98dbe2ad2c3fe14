"""The cases of claim_cost: one worker after the other, eight at once, and both behind a snapshot that somebody holds."""

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from statistics import mean
from typing import Any

import psycopg

from bench.claimers import GIVE_BACK, SIDES, Claimer
from bench.ground import cpu_seconds
from bench.queue_rows import MARKS, finish
from factory.db import Database
from factory.embedded.postgres import Postgres
from factory.jobs.raise_marks import raise_marks

WORKERS, PACE = 8, 0.2
BLOCK = 25
# Eight processes import what a worker does, on few cores.
START_SECONDS, UPKEEP_SECONDS = 5, 1


@dataclass
class Row:
    """`counts`: the goal is held against it."""

    what: str
    side: str
    claims: int
    p50_ms: float
    p99_ms: float
    postgres_ms: float
    client_cpu_ms: float
    server_cpu_ms: float | None = None
    counts: bool = True


@dataclass(frozen=True)
class Filled:
    """A queue with so many jobs waiting. With `gives_back` what is claimed returns to it, and the marks stay where they are."""

    server: Postgres
    url: str
    owner: psycopg.Connection
    waiting: int
    gives_back: bool = False


class Void(Exception):
    """What was claimed does not add up."""


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def quantiles(ms: list[float]) -> tuple[float, float]:
    return round(percentile(ms, 0.5), 2), round(percentile(ms, 0.99), 2)


def check(claims: list[tuple[str, int] | None], seen: set[tuple[str, int]], *, empty: int = 0) -> None:
    """Each attempt of each job went to one claim only, and at most `empty` came back without one."""
    if claims.count(None) > empty:
        raise Void(f"{claims.count(None)} of {len(claims)} claims found nothing")
    for claim in filter(None, claims):
        if tuple(claim) in seen:
            raise Void(f"claimed twice: {claim}")
        seen.add((claim[0], claim[1]))


def alone(queue: Filled, what: str, claims: int, *, counts: bool = True) -> list[Row]:
    """Both sides in turns, a block of claims each; marks are raised between blocks, as upkeep does."""
    sides = [Claimer(side, queue.url, f"bench-{side[:5]}") for side in SIDES]
    took, client, spent = ([[] for _ in sides], [0.0] * len(sides), [0.0] * len(sides))
    upkeep, seen = Database(queue.url, pool_size=1), set()
    for side in sides:
        check([side.take()], seen)
        side.in_postgres = 0.0
    per_block = min(BLOCK, max(1, queue.waiting // 4))
    for _ in range(claims // per_block):
        for n, side in enumerate(sides):
            cpu, busy = time.process_time(), cpu_seconds(queue.server.pid)
            taken = []
            for _ in range(per_block):
                began = time.perf_counter()
                taken.append(side.take())
                took[n].append((time.perf_counter() - began) * 1000)
            client[n] += time.process_time() - cpu
            spent[n] += cpu_seconds(queue.server.pid) - busy
            check(taken, seen)
        if queue.gives_back:
            queue.owner.execute(GIVE_BACK)
        elif counts:
            raise_marks(upkeep)
    upkeep.close()
    return [
        Row(what, name, len(ms), *quantiles(ms), *(round(1000 * each / len(ms), 2) for each in (side.in_postgres, cpu, busy)), counts)
        for name, side, ms, cpu, busy in zip(SIDES, sides, took, client, spent, strict=True)
    ]


def together(queue: Filled, what: str, claims: int) -> list[Row]:
    """Eight processes that draw for 0.2 s between claims; upkeep goes on meanwhile."""
    rows, seen, upkeep = [], set(), Database(queue.url, pool_size=1)
    # A claim locks two jobs for a moment: of ten, eight workers may hold them all.
    empty = WORKERS * claims // 20 if queue.gives_back else 0
    for side in SIDES:
        answers = at_once(queue, side, claims, upkeep)
        check([claim for answer in answers for claim in answer["claims"]], seen, empty=empty)
        ms = [each for answer in answers for each in answer["ms"]]
        rows.append(
            Row(what, side, len(ms), *quantiles(ms), *(round(mean(a[name] for a in answers), 2) for name in ("postgres_ms", "cpu_ms")))
        )
    upkeep.close()
    return rows


def at_once(queue: Filled, side: str, claims: int, upkeep: Database) -> list[dict[str, Any]]:
    """What each of the eight says. Their answers fit a pipe."""
    begin, end = str(time.time() + START_SECONDS), "back" if queue.gives_back else "keep"
    commands = [
        [sys.executable, "-m", "bench.claimers", side, queue.url, f"{side[:5]}-{n}", str(claims), str(PACE), begin, end]
        for n in range(WORKERS)
    ]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE) for command in commands]
    while any(child.poll() is None for child in children):
        if not queue.gives_back:
            raise_marks(upkeep)
        time.sleep(UPKEEP_SECONDS)
    return [json.loads(child.communicate()[0]) for child in children]


def behind_a_snapshot(queue: Filled, finished: int, claims: int, paced: int) -> list[Row]:
    """Somebody looks at the queue as it was before `finished` jobs left it, and goes on looking."""
    db, what = Database(queue.url, pool_size=1), f"{finished} finished, snapshot held"
    with psycopg.connect(queue.url.replace("+psycopg", "")) as analyst:
        analyst.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        analyst.execute("SELECT count(*) FROM tenants")
        finish(queue.owner, finished)
        began = time.perf_counter()
        for _ in range(4):
            raise_marks(db)
        print(f"{finished} jobs left under a held snapshot; four rounds of marks took {time.perf_counter() - began:.2f} s")
        rows = alone(queue, f"{what}, marks on", claims)
        rows += together(queue, f"{what}, {WORKERS} at once", paced)
        queue.owner.execute("DELETE FROM queue_marks")
        rows += alone(queue, f"{what}, marks off", claims, counts=False)[:1]
        queue.owner.execute(MARKS)
    db.close()
    return rows
