"""A night in small: 20 000 pictures for three tenants, four GPU workers, faults throughout. Nothing is lost, nothing doubled, memory stays flat."""

from __future__ import annotations

import os
import signal
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import combinations

import httpx
import psutil
import psycopg
import pytest

from factory.domain.api_key import Scope
from factory.jobs.keys import create_key
from tests.e2e.conftest import build_line  # noqa: F401 - a fixture
from tests.e2e.history import EVENTS, check_history
from tests.e2e.line import Line
from tests.e2e.storm import STALL_SECONDS, WEATHER, Plan, Storm, seed
from tests.integration.jobs.truth import check_invariants, read_rows
from tests.integration.queue.plant import ACTOR, until

pytestmark = [pytest.mark.drill, pytest.mark.timeout(5400)]

JOBS, ORDER_ROWS, GPUS = int(os.environ.get("FACTORY_TEST_NIGHT_JOBS", "20000")), 500, 4
# A large tenant beside two smaller ones.
SHARES = {"north": 30, "acme": 8, "south": 2}
# Orders that are not drawn yet, so that there is always work of several.
BACKLOG = 4 * ORDER_ROWS
SPARED = "gpu-4"  # it lives through the night, so its memory tells something
STORAGE_AWAY_SECONDS = 6.0
SAMPLE_EVERY, WARM_UP, LIVED = JOBS // 80, JOBS // 5, 20
# Of a process that lived: less than this for 1000 pictures of the whole factory.
FLAT_BYTES = 1024 * 1024
NIGHT = {**WEATHER, "FACTORY_SIMULATED_SECONDS": "0.01", "FACTORY_MAX_TRANSIENT_FAILURES": "1000", "FACTORY_SWEEP_SECONDS": "20"}


class Memory:
    """Bytes of every process, by how many pictures were there."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._seen: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)

    def sample(self, pictures: int) -> None:
        for name, pid in self._roots():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                root = psutil.Process(pid)
                for process in [root, *root.children(recursive=True)]:
                    self._note(name, process, pictures)

    def _roots(self) -> Iterator[tuple[str, int]]:
        servers = {"postgres": self._line.postgres.pid, "valkey": self._line.valkey.pid}
        roles = {worker.log.stem.split("---")[0]: worker.pid for worker in self._line.hired if worker.alive()}
        return ((name, pid) for name, pid in (servers | roles).items() if pid)

    def _note(self, name: str, process: psutil.Process, pictures: int) -> None:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            self._seen[name, process.pid].append((pictures, _taken(process, name)))

    def slopes(self) -> dict[tuple[str, int], float]:
        """Bytes for 1000 pictures, once warm, of processes that lived long enough: the median of all pairs, which no single peak moves."""
        found = {}
        for who, samples in self._seen.items():
            warm = [(at, taken) for at, taken in samples if at >= max(WARM_UP, samples[0][0] + WARM_UP // 2)]
            if len(warm) >= LIVED:
                rises = [1000 * (b - a) / (y - x) for (x, a), (y, b) in combinations(warm, 2) if y > x]
                found[who] = statistics.median(rises)
        return found


def _taken(process: psutil.Process, name: str) -> int:
    """Of Postgres only what is no file and no shared memory. `uss` would count each page of `shared_buffers` that no other process happens
    to have touched: of the checkpointer 9 MB at one time and none at another, with 0.8 MB of its own all night."""
    memory = process.memory_info()
    if name != "postgres":
        return int(memory.rss)
    return int(memory.rss - memory.shared) if hasattr(memory, "shared") else int(process.memory_full_info().uss)


class Night(Storm):
    """Orders keep coming while things are hurt; the main thread orders, hurts, mends and looks."""

    def __init__(self, line: Line, plan: Plan) -> None:
        self.clients = {tenant: self._client(line, tenant) for tenant in SHARES}
        self.memory = Memory(line)
        self._ordered, self._sampled, self._storage_back = 0, 0, 0.0
        self.others = {worker.log.stem.split("---")[0]: worker for worker in line.hired if not worker.log.stem.startswith("gpu-")}
        self.commands = {"api": ("api", "--port", str(line.port)), "beat": ("beat",), "worker-cpu": ("worker", "cpu")}
        super().__init__(line, plan)

    def _client(self, line: Line, tenant: str) -> httpx.Client:
        _, secret = create_key(line.db, tenant=tenant, name="night", scopes=list(Scope), actor=ACTOR)
        return httpx.Client(base_url=line.client.base_url, headers={"Authorization": f"Bearer {secret}"}, timeout=60, trust_env=False)

    def blow(self) -> None:
        for threshold, blow in self._night():
            self._until_drawn(threshold)
            blow()
        self._until_drawn(self.plan.jobs)
        self.tell("every job has ended")
        until(self._all_awake, STALL_SECONDS + 5, "the last stall is over")
        for worker in self.gpus.values():
            worker.stop()

    def _night(self) -> list[tuple[int, Callable[[], None]]]:
        """(after how many pictures, what), all night long, in an order that the seed decides."""
        kills = [partial(self._kill, victim) for victim in ("parent", "child") * (self.plan.kills // 2)]
        others = [self._flush] * 3 + [self._restart] * 3 + [self._lose_storage] * 3 + [self._flush_and_restart]
        blows: list[Callable[[], None]] = [*kills, *[self._stall] * self.plan.stalls, *others]
        self.chance.shuffle(blows)
        thresholds = sorted(self.chance.sample(range(self.plan.jobs // 20, self.plan.jobs * 19 // 20), len(blows)))
        return list(zip(thresholds, blows, strict=True))

    def _until_drawn(self, count: int) -> None:
        while (ended := self._drawn()) < count:
            took = time.monotonic() - self.began
            assert took < self.plan.seconds, f"seed {self.plan.seed}: {ended} of {count} within {took:.0f} s: {self.line.statuses()}"
            self._supervise()
            if self._ordered < min(self.plan.jobs, ended + BACKLOG):
                self._order()
            if ended >= self._sampled + SAMPLE_EVERY:
                self._sampled = ended
                self.memory.sample(ended)
            time.sleep(0.1)

    def _drawn(self) -> int:
        with suppress(psycopg.OperationalError):
            return int(self.line.rows("SELECT count(*) AS n FROM jobs WHERE status NOT IN ('queued', 'running')")[0]["n"])
        return 0

    def _order(self) -> None:
        """One order, sent again with the same key until the API has it."""
        rows = min(ORDER_ROWS, self.plan.jobs - self._ordered)
        tenant = self.chance.choices(list(SHARES), list(SHARES.values()))[0]
        first = self._ordered
        body = [
            {"prompt": f"一把水壶 kettle {n}", "sku": f"SKU-{n}", "seed": n, "size": f"{self.plan.side}x{self.plan.side}"}
            for n in range(first, first + rows)
        ]
        headers = {"Idempotency-Key": f"night-{self.plan.seed}-{first}"}

        def accepted() -> bool:
            self._supervise()
            try:
                answer = self.clients[tenant].post("/api/v1/batches", params={"project": "night"}, json=body, headers=headers)
            except httpx.TransportError:
                return False
            if answer.status_code >= 500 or answer.status_code in (409, 429):
                return False
            assert answer.status_code in (200, 202), answer.text
            assert answer.json()["rows_accepted"] == rows, answer.text
            return True

        until(accepted, 120, f"the API takes the order of {tenant}")
        self._ordered += rows

    def _one_at_work(self) -> tuple[str, dict[str, int]]:
        while True:
            name, pids = super()._one_at_work()
            if name != SPARED:
                return name, pids

    def _supervise(self) -> None:
        super()._supervise()
        for name, child in self.others.items():
            if not child.alive():
                self.others[name] = self.line.hire(*self.commands[name])
                self.tell(f"{name} starts again")
        if self._storage_back and time.monotonic() > self._storage_back:
            self._storage_back = 0.0
            self.line.rclone.start()
            self.tell("the storage is back")

    def _lose_storage(self) -> None:
        """Pictures wait on the workers' disks meanwhile."""
        if not self._storage_back:
            self.line.rclone.kill()
            self._storage_back = time.monotonic() + STORAGE_AWAY_SECONDS
            self.tell("the storage is away")

    def _flush_and_restart(self) -> None:
        """The broker forgets all while the database recovers."""
        os.kill(self.line.valkey.pid, signal.SIGKILL)
        self._restart()
        until(lambda: not self.line.valkey.pid, 15, "Valkey ends")
        self.line.valkey.start()
        self.line.redis.connection_pool.disconnect()
        self.line.redis.flushall()
        self.tell("Valkey killed, empty")

    def check(self) -> None:
        line = self.line
        assert line.statuses() == {"succeeded": self.plan.jobs}, "every accepted job ends once, and nothing here is its own fault"
        with psycopg.connect(line.books.owner_dsn, autocommit=True) as sql:
            rows = [row for tenant in SHARES for row in read_rows(sql, tenant).values()]
        assert len(rows) == self.plan.jobs
        check_invariants(rows)
        events = line.rows(EVENTS.replace("WHERE job_id IS NOT NULL", "WHERE job_id IS NOT NULL AND became IS NOT NULL"))
        check_history(events, {row["job_id"]: row["attempt"] for row in line.rows("SELECT job_id, attempt FROM assets")})
        lost = line.rows("SELECT count(*) AS n FROM audit_events WHERE action = 'job.requeued'")[0]["n"]
        assert lost >= 1, "no kill cost a lease: the night was calm"
        named = {row["key"] for row in line.rows("SELECT key FROM assets")}
        until(lambda: line.stored_keys() == named, 120, "upkeep sweeps what no asset names")
        line.storage_matches()
        self.tell(f"{lost} leases lost, most attempts {max(row.attempt for row in rows)}; the storage holds what the database names")

    def check_memory(self) -> None:
        slopes = self.memory.slopes()
        for (name, pid), slope in sorted(slopes.items()):
            self.tell(f"{name} ({pid}): {slope / 1024:+.0f} KiB for 1000 pictures")
        lived = {name for name, _ in slopes}
        assert {"api", SPARED, "valkey", "beat", "worker-cpu"} <= lived, f"only {lived} lived long enough to tell"
        assert {who: slope for who, slope in slopes.items() if slope > FLAT_BYTES} == {}

    def close(self) -> None:
        for client in self.clients.values():
            client.close()


def test_a_night_of_faults_loses_and_doubles_nothing_and_leaks_nothing(build_line) -> None:  # noqa: F811
    line: Line = build_line(**NIGHT)
    line.open(gpus=GPUS)
    night = Night(line, Plan(jobs=JOBS, kills=16, stalls=6, side=64, seconds=4800, seed=seed()))
    try:
        night.blow()
        night.check()
        night.check_memory()
    finally:
        night.close()
