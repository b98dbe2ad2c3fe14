"""Storm: a batch goes through while processes are killed and servers forget or restart, at moments that a seed decides."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import cycle, islice

import psutil

from factory.embedded.guarded import Guarded
from factory.storage.naming import object_key
from tests.e2e.history import EVENTS, check_history
from tests.e2e.line import Line
from tests.integration.jobs.truth import check_invariants
from tests.integration.queue.plant import TENANT, child_of, until

STALL_SECONDS = 6.0  # longer than a lease and upkeep's round


@dataclass(frozen=True)
class Plan:
    """How much there is to draw, how often a worker is killed or stalls beyond its lease, and how long all of it may take."""

    jobs: int
    kills: int
    stalls: int
    side: int
    seconds: float
    seed: int


class Storm:
    """Runs in the main thread: it also is the supervisor that starts dead workers again."""

    def __init__(self, line: Line, plan: Plan) -> None:
        self.line, self.plan = line, plan
        self.chance = random.Random(plan.seed)
        self.began = time.monotonic()
        self.gpus: dict[str, Guarded] = {worker.log.stem: worker for worker in line.hired if worker.log.stem.startswith("gpu-")}
        self.stalled: dict[str, float] = {}
        self.tell(f"seed {plan.seed}: {plan.jobs} jobs of {plan.side}², {plan.kills} killed, {plan.stalls} stalled, one flush, one restart")

    def tell(self, what: str) -> None:
        sys.stdout.write(f"{time.monotonic() - self.began:7.2f} s  {what}\n")
        sys.stdout.flush()

    def blow(self) -> None:
        """Order, hurt, wait. Raises AssertionError when not all has ended in time."""
        rows = [{"prompt": f"一把水壶 kettle {n}", "sku": f"SKU-{n}", "seed": n} for n in range(self.plan.jobs)]
        size = f"{self.plan.side}x{self.plan.side}"
        answer = self.line.client.post("/api/v1/batches", params={"project": "spring"}, json=[{**row, "size": size} for row in rows])
        assert (answer.status_code, answer.json()["counts"]["queued"]) == (202, self.plan.jobs), answer.text
        batch = answer.json()["id"]
        for threshold, blow in self._blows():
            self._until_ended(batch, threshold)
            time.sleep(self.chance.random() * 0.1)
            blow()
        self._until_ended(batch, self.plan.jobs)
        self.tell("every job has ended")
        self._leave_a_stray()
        until(self._all_awake, STALL_SECONDS + 30, "the last stall is over")
        for worker in self.gpus.values():
            worker.stop()  # whoever came back late has said its say

    def _blows(self) -> list[tuple[int, Callable[[], None]]]:
        """(after how many pictures, what). The first tenth and the last fifth stay calm: there, less is in work."""
        kills = [partial(self._kill, victim) for victim in islice(cycle(("parent", "child")), self.plan.kills)]
        blows: list[Callable[[], None]] = [*kills, *[self._stall] * self.plan.stalls, self._flush, self._restart]
        self.chance.shuffle(blows)
        thresholds = sorted(self.chance.sample(range(self.plan.jobs // 10, self.plan.jobs * 4 // 5), len(blows)))
        return list(zip(thresholds, blows, strict=True))

    def _leave_a_stray(self) -> None:
        """What an attempt leaves that stored its picture and died before it closed: upkeep must find it."""
        content, stored = b"nobody's", self.line.stored_keys()
        again = self.line.rows("SELECT project, day, seq FROM jobs WHERE attempt > 1")
        first_tries = [object_key(TENANT, job["project"], job["day"], job["seq"], 1) for job in again]
        stray = next((key for key in first_tries if key not in stored), None)
        if stray is not None:
            self.line.storage.put(stray, content, media_type="image/png", sha256=hashlib.sha256(content).hexdigest(), filename="stray.png")

    def _until_ended(self, batch: str, count: int) -> None:
        while self._ended(batch) < count:
            took = time.monotonic() - self.began
            assert took < self.plan.seconds, (
                f"seed {self.plan.seed}: not {count} of {self.plan.jobs} within {took:.0f} s: {self.line.statuses()}"
            )
            self._supervise()
            time.sleep(0.05)

    def _ended(self, batch: str) -> int:
        counts = self.line.progress(batch)
        return self.plan.jobs - counts["queued"] - counts["running"] if counts else 0

    def _all_awake(self) -> bool:
        self._supervise()
        return not self.stalled

    def _supervise(self) -> None:
        for name in [name for name, over in self.stalled.items() if time.monotonic() > over]:
            del self.stalled[name]
            self.gpus[name].thaw()
            self.tell(f"{name} goes on, its leases lost")
        for name, worker in self.gpus.items():
            if not worker.alive():
                self.gpus[name] = self.line.hire_gpu(name)
                self.tell(f"{name} starts again")

    def _kill(self, victim: str) -> None:
        """The parent or the child of a worker that holds a job."""
        name, pids = self._one_at_work()
        os.kill(pids[victim], signal.SIGKILL)
        self.tell(f"kill -9 {victim} of {name}")

    def _stall(self) -> None:
        """A worker that comes back when its jobs are somebody else's: it must change nothing."""
        name, _ = self._one_at_work()
        self.gpus[name].freeze()
        self.stalled[name] = time.monotonic() + STALL_SECONDS
        self.tell(f"{name} stalls")

    def _one_at_work(self) -> tuple[str, dict[str, int]]:
        """Its name, and the process ids of its parent and its child."""
        busy: dict[str, dict[str, int]] = {}

        def found() -> bool:
            self._supervise()
            running = self.line.rows("SELECT DISTINCT worker FROM jobs WHERE status = 'running' AND lease_until > now() ORDER BY worker")
            for name in {row["worker"] for row in running} - set(self.stalled):
                with suppress(AssertionError, psutil.NoSuchProcess):  # it is just being started, or was just killed
                    busy[name] = {"parent": self.gpus[name].pid, "child": child_of(self.gpus[name]).pid}
            return bool(busy)

        until(found, 150, "some worker draws")
        name = self.chance.choice(sorted(busy))
        return name, busy[name]

    def _flush(self) -> None:
        self.line.redis.flushall()
        self.tell("Redis FLUSHALL")

    def _restart(self) -> None:
        self.line.restart_postgres()
        self.tell("Postgres killed and recovered")

    def check(self) -> None:
        """Nothing is missing, nothing is doubled, and the log tells how it came about."""
        line = self.line
        assert line.statuses() == {"succeeded": self.plan.jobs}
        rows = line.truth()
        check_invariants(rows)
        check_history(line.rows(EVENTS), {row["job_id"]: row["attempt"] for row in line.rows("SELECT job_id, attempt FROM assets")})
        lost = line.rows("SELECT count(*) AS n FROM audit_events WHERE action = 'job.requeued'")[0]["n"]
        # Only a job that was being drawn is blamed for the loss of its worker.
        assert sum(row.lost_leases for row in rows) <= lost, "more blame than losses"
        assert lost >= 1, "no kill cost a lease: the storm blew past"
        named = {row["key"] for row in line.rows("SELECT key FROM assets")}
        self.tell(
            f"{lost} leases lost, most attempts {max(row.attempt for row in rows)}; {len(line.stored_keys() - named)} objects nobody names"
        )
        until(lambda: line.stored_keys() == named, 120, "upkeep sweeps what no asset names")
        line.storage_matches()
        self.tell("the storage holds what the database names")


def raise_storm(line: Line, plan: Plan) -> None:
    line.open(gpus=2)
    storm = Storm(line, plan)
    storm.blow()
    storm.check()


def seed() -> int:
    """FACTORY_TEST_SEED repeats a storm; without it each run is another one."""
    return int(os.environ.get("FACTORY_TEST_SEED") or random.SystemRandom().randrange(10**6))


# Short leases and early sweeps: upkeep works beside what it must not harm.
WEATHER = {
    "FACTORY_SIMULATED_SECONDS": "0.05",
    "FACTORY_LEASE_SECONDS": "3",
    "FACTORY_SWEEP_SECONDS": "3",
    "FACTORY_SWEEP_AFTER_SECONDS": "0",
    "FACTORY_MAX_LOST_LEASES": "100",
}
