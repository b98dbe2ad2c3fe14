"""One worker that claims at a pace, as a GPU process does between pictures, and says how long each claim took.

`python -m bench.claimers SIDE URL NAME CLAIMS PACE BEGIN back|keep`: JSON on stdout, of the claims alone: {"ms": […],
"claims": [[id, attempt], …], "postgres_ms": …, "cpu_ms": …}. With `back` what is claimed returns to the queue, so that few jobs last.
BEGIN is a time of day in seconds since 1970, so that all of them begin at once.
"""

import json
import random
import sys
import time
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import psycopg

from bench.peers.plain_claim import plain_claim
from factory.db import Compiled, Database
from factory.jobs.claim_job import claim_job
from factory.jobs.claim_lists import Run

LEASE = timedelta(seconds=60)
RESIDENT = ("checkpoint-1", "checkpoint-3")
# A worker in the middle of its work: LoRA loaded, a swap a while ago, so that every list is asked for.
RUN = Run(since_swap=40, lora_key="lora-3:000000000000@1", lora_run=12, interactive_run=2, offpeak_open=False)
SIDES = ("factory", "plain claim")
GIVE_BACK = "UPDATE jobs SET status = 'queued', worker = NULL, lease_until = NULL, phase = NULL WHERE status = 'running'"


class TimedDatabase(Database):
    """`seconds`: between asking and answer, the driver's work included."""

    seconds = 0.0

    def run_alone(self, statement: Compiled, binds: Mapping[str, Any]) -> list[Any]:
        began = time.perf_counter()
        rows = super().run_alone(statement, binds)
        self.seconds += time.perf_counter() - began
        return rows


class Claimer:
    """`take` gives id and attempt, or None. `in_postgres` sums the seconds that statements took."""

    def __init__(self, side: str, url: str, name: str) -> None:
        self.in_postgres = 0.0
        self.take: Callable[[], tuple[str, int] | None]
        if side == SIDES[0]:
            self.db = TimedDatabase(url, pool_size=1)
            self.take = lambda: self._ours(name)
        else:
            self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
            self.take = lambda: self._plain(name)

    def _ours(self, name: str) -> tuple[str, int] | None:
        began = self.db.seconds
        claim = claim_job(self.db, worker=name, lease=LEASE, resident=RESIDENT, ahead=True, run=RUN)
        self.in_postgres += self.db.seconds - began
        return (str(claim.job_id), claim.attempt) if claim else None

    def _plain(self, name: str) -> tuple[str, int] | None:
        began = time.perf_counter()
        row = plain_claim(self._connection, name)
        self.in_postgres += time.perf_counter() - began
        return (str(row[0]), row[1]) if row else None


class Back:
    """Gives a job back as soon as it is claimed, on a connection of its own and off the clock."""

    def __init__(self, url: str) -> None:
        self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)

    def give(self, claim: tuple[str, int] | None) -> None:
        if claim:
            self._connection.execute(GIVE_BACK + " AND id = %s", [claim[0]])


def main() -> None:
    side, url, name, claims, pace, begin, end = sys.argv[1:]
    claimer, back = Claimer(side, url, name), Back(url) if end == "back" else None
    random.seed(name)
    taken, took, spent = [first_of(claimer)], [], 0.0
    if back:
        back.give(taken[-1])
    time.sleep(max(0.0, float(begin) - time.time()))
    claimer.in_postgres = 0.0
    for _ in range(int(claims)):
        time.sleep(float(pace) * random.uniform(0.5, 1.5))
        began, busy = time.perf_counter(), time.process_time()
        taken.append(claimer.take())
        spent += time.process_time() - busy
        took.append((time.perf_counter() - began) * 1000)
        if back:
            back.give(taken[-1])
    per = 1000 / int(claims)
    print(json.dumps({"ms": took, "claims": taken, "postgres_ms": claimer.in_postgres * per, "cpu_ms": spent * per}))


def first_of(claimer: Claimer) -> tuple[str, int] | None:
    """It warms up, as the others do at this moment: of few jobs they may have locked them all."""
    for _ in range(50):
        if claim := claimer.take():
            return claim
        time.sleep(0.1)
    return None


if __name__ == "__main__":
    main()
