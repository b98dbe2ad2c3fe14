"""How long an order of 10k and 100k rows takes to its 202: the factory, and a list of pydantic models with one message a row.

`python -m bench.ingest [--rows 10000 100000] [--json FILE]`. Both sides read the same bytes, over HTTP, in a server process of their
own; the factory also reads them as NDJSON, and with `Prefer: respond-async` takes them without reading. Then a worker reads them, and the
watching goes on until the last row is a job. CPU is that of the server process; the store (Postgres, Valkey) stands beside it. RSS growth
is the peak over what the server held after a warm order; a stall is the longest wait of a trivial request asked every 5 ms meanwhile.
Exit 0: goals met, 1: not met, 2: a side did not take every row (the run is void).
"""

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import redis
from sqlalchemy import text

from bench.door import HOST, JSON, NDJSON, Door, body_of, post, probed, resident, wait_until_open, watched
from bench.gpu_idle import running
from bench.ground import Ground, cpu_seconds, ground, machine
from bench.order import NAME, OPERATOR, Order, prepare
from factory.domain.api_key import Scope
from factory.embedded.ports import free_port
from factory.jobs.keys import create_key

FASTER = {10_000: 4.0, 100_000: 10.0}
RSS_GOAL_MB = 16.0
STALL_GOAL_MS = 50.0
WARM = 500
PATIENCE = 300  # seconds until what was received is ordered
PEERS_LIST = "bench:ingest"  # as bench.peers.ingest_list has it; importing that would open its door here
COUNT = text("SELECT count(*) FROM jobs WHERE tenant = :tenant")


@dataclass
class Row:
    side: str
    rows: int
    server_cpu_seconds: float
    seconds: float
    ordered_seconds: float
    store_cpu_seconds: float
    rss_growth_mb: float
    stall_ms: float
    idle_stall_ms: float


def measure(door: Door, folder: Path, count: int) -> Row:
    post(door, body_of(folder, WARM, door.kind))
    body = body_of(folder, count, door.kind)
    with probed(door.port) as idle:
        time.sleep(2)
    before, server, store = resident(door.pid), cpu_seconds(door.pid), cpu_seconds(door.store)
    with watched(door.pid) as most, probed(door.port) as busy:
        began = time.perf_counter()
        seconds = post(door, body)
        while door.later and door.counted() < count and time.perf_counter() - began < PATIENCE:
            time.sleep(0.5)
        ordered = time.perf_counter() - began
    spent, stored = cpu_seconds(door.pid) - server, cpu_seconds(door.store) - store
    if door.counted() != count:
        raise ValueError(f"{door.side} took {door.counted()} of {count} rows")
    grown = (most[0] - before) / 2**20
    return Row(
        door.side,
        count,
        round(spent, 2),
        round(seconds, 2),
        round(ordered, 2),
        round(stored, 2),
        round(grown, 1),
        round(busy["worst_ms"], 1),
        round(idle["worst_ms"], 1),
    )


def ours(on: Ground, order: Order, count: int, kind: str, *, later: bool = False) -> Row:
    port, side = free_port(), ("factory" if kind == JSON else "factory ndjson") + (" later" if later else "")
    environment = {**on.environment(), "FACTORY_PUBLIC_URL": f"http://{HOST}:{port}"}
    tenants: list[str] = []

    def headers() -> dict[str, str]:
        tenants.append(f"{side.replace(' ', '-')}-{count}-{len(tenants)}")
        _, secret = create_key(order.db, tenant=tenants[-1], name="bench", scopes=list(Scope), actor=OPERATOR)
        return {"Authorization": f"Bearer {secret}", **({"Prefer": "respond-async"} if later else {})}

    def counted() -> int:
        with order.db.transaction() as session:
            return int(session.execute(COUNT, {"tenant": tenants[-1]}).scalar_one())

    with ExitStack() as stack:
        server = stack.enter_context(
            running([sys.executable, "-m", "factory", "api", "--port", str(port)], environment, on.folder / "api.log")
        )
        if later:
            stack.enter_context(running([sys.executable, "-m", "factory", "worker", "cpu"], environment, on.folder / "cpu.log"))
            time.sleep(5)
        wait_until_open(port)
        path = f"/api/v1/batches?project={NAME}"
        return measure(Door(side, kind, port, server.pid, on.postgres.pid, path, headers, counted, later), on.folder, count)


def peer(on: Ground, count: int) -> Row:
    port = free_port()
    environment = {**on.environment(), "REDIS_URL": on.valkey.url}
    command = [sys.executable, "-m", "uvicorn", "bench.peers.ingest_list:app", "--port", str(port), "--log-level", "warning"]
    queue = redis.Redis.from_url(on.valkey.url)

    def headers() -> dict[str, str]:
        queue.delete(PEERS_LIST)
        return {}

    with running(command, environment, on.folder / "peer.log") as server:
        wait_until_open(port)
        door = Door("list + lpush", JSON, port, server.pid, on.valkey.pid, "/batches", headers, lambda: int(str(queue.llen(PEERS_LIST))))
        return measure(door, on.folder, count)


def verdicts(rows: list[Row]) -> Iterator[tuple[str, bool]]:
    for row in (row for row in rows if row.side.startswith("factory")):
        naive = next(other for other in rows if other.rows == row.rows and not other.side.startswith("factory"))
        ratio, goal = naive.seconds / row.seconds, FASTER.get(row.rows, 4.0)
        yield f"{row.side}, {row.rows} rows: {ratio:.1f}x as fast to 202, goal {goal:.0f}x", ratio >= goal
        yield f"{row.side}, {row.rows} rows: RSS + {row.rss_growth_mb} MB, goal {RSS_GOAL_MB:.0f}", row.rss_growth_mb <= RSS_GOAL_MB
        yield f"{row.side}, {row.rows} rows: worst wait {row.stall_ms} ms, goal {STALL_GOAL_MS:.0f}", row.stall_ms <= STALL_GOAL_MS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(machine())
    rows: list[Row] = []
    with ground() as on:
        order = prepare(on)
        for count in arguments.rows:
            for run in (
                lambda n=count: ours(on, order, n, JSON),
                lambda n=count: ours(on, order, n, NDJSON),
                lambda n=count: ours(on, order, n, NDJSON, later=True),
                lambda n=count: peer(on, n),
            ):
                try:
                    row = run()
                except ValueError as fault:
                    print(f"void: {fault}")
                    return 2
                rows.append(row)
                print(
                    f"{row.rows:7d} rows  {row.side:20s} server CPU {row.server_cpu_seconds:6.2f} s  to 202 {row.seconds:6.2f} s  ordered {row.ordered_seconds:6.2f} s  store CPU "
                    f"{row.store_cpu_seconds:6.2f} s  RSS + {row.rss_growth_mb:6.1f} MB  worst wait {row.stall_ms:7.1f} ms (idle {row.idle_stall_ms})"
                )
    found = list(verdicts(rows))
    for told, met in found:
        print(f"{told}: {'met' if met else 'MISSED'}")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return 0 if all(met for _, met in found) else 1


if __name__ == "__main__":
    sys.exit(main())
