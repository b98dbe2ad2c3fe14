"""One worker that claims at a pace, as a GPU process does between pictures, and says how long each claim took.

`python -m bench.claimers SIDE URL NAME CLAIMS PACE BEGIN`: JSON on stdout, {"ms": […], "claims": [[id, attempt], …], "postgres_ms": …, "cpu_ms": …}.
BEGIN is a time of day in seconds since 1970, so that all of them begin at once.
"""

import json
import random
import sys
import time
from collections.abc import Callable
from datetime import timedelta

import psycopg
from sqlalchemy import event

from bench.peers.plain_claim import plain_claim
from factory.db import Database
from factory.jobs.claim_job import claim_job
from factory.jobs.claim_lists import Run

LEASE = timedelta(seconds=60)
RESIDENT = ("checkpoint-1", "checkpoint-3")
# A worker in the middle of its work: LoRA loaded, a swap a while ago, so that every list is asked for.
RUN = Run(since_swap=40, lora_key="lora-3:000000000000@1", lora_run=12, interactive_run=2, offpeak_open=False)
SIDES = ("factory", "plain claim")


class Claimer:
    """`take` gives id and attempt, or None. `in_postgres` sums the seconds that statements took, where that can be told."""

    def __init__(self, side: str, url: str, name: str) -> None:
        self.in_postgres, self._began = 0.0, 0.0
        self.take: Callable[[], tuple[str, int] | None]
        if side == SIDES[0]:
            self.db = Database(url, pool_size=1)
            event.listen(self.db.engine, "before_cursor_execute", self._before)
            event.listen(self.db.engine, "after_cursor_execute", self._after)
            self.take = lambda: self._ours(name)
        else:
            self._connection = psycopg.connect(url.replace("+psycopg", ""), autocommit=True)
            self.take = lambda: self._plain(name)

    def _before(self, *_: object) -> None:
        self._began = time.perf_counter()

    def _after(self, *_: object) -> None:
        self.in_postgres += time.perf_counter() - self._began

    def _ours(self, name: str) -> tuple[str, int] | None:
        claim = claim_job(self.db, worker=name, lease=LEASE, resident=RESIDENT, ahead=True, run=RUN)
        return (str(claim.job_id), claim.attempt) if claim else None

    def _plain(self, name: str) -> tuple[str, int] | None:
        began = time.perf_counter()
        row = plain_claim(self._connection, name)
        self.in_postgres += time.perf_counter() - began
        return (str(row[0]), row[1]) if row else None


def main() -> None:
    side, url, name, claims, pace, begin = sys.argv[1:]
    claimer = Claimer(side, url, name)
    random.seed(name)
    taken, took = [claimer.take()], []  # the first one warms up
    time.sleep(max(0.0, float(begin) - time.time()))
    cpu, claimer.in_postgres = time.process_time(), 0.0
    for _ in range(int(claims)):
        time.sleep(float(pace) * random.uniform(0.5, 1.5))
        began = time.perf_counter()
        taken.append(claimer.take())
        took.append((time.perf_counter() - began) * 1000)
    spent = time.process_time() - cpu
    per = 1000 / int(claims)
    print(json.dumps({"ms": took, "claims": taken, "postgres_ms": claimer.in_postgres * per, "cpu_ms": spent * per}))


if __name__ == "__main__":
    main()
