"""How long a GPU that takes T per picture stands idle: the factory, a plain BRPOP loop, a plain Celery chain, in one command.

`python -m bench.gpu_idle [--seconds 12] [--json FILE]`. The GPU is a sleep, so contention cannot slow it and idle time measures
us. Idle = 1 − n·T / (last row committed − first picture begun); shifts, chain, S3 and audit row included on every side.
Exit 0: goals met, 1: not met, 2: pictures, objects and rows do not agree (the run is void).
"""

import argparse
import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import redis

from bench.ground import BUCKET, Ground, cpu_seconds, ground, machine
from bench.order import Order, place_order, prepare
from bench.peers import brpop_loop

GOALS = {0.05: 5.0, 0.2: 2.0, 1.0: 2.0}
CPU_GOAL_MS = 15.0
PROMPT = "白色背景上的保温杯, a vacuum flask on white"
PEER_PICTURES = 30  # enough for a peer that stands idle most of the time
PATIENCE = timedelta(minutes=8)


@dataclass
class Row:
    side: str
    t_ms: int
    pictures: int
    idle_percent: float
    cpu_ms_per_picture: float
    wall_seconds: float


@contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("ab") as out:
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()


def wait_for(done: Callable[[], bool]) -> None:
    ends = time.monotonic() + PATIENCE.total_seconds()
    while not done():
        if time.monotonic() > ends:
            raise TimeoutError("a side did not finish in 8 minutes")
        time.sleep(0.1)


def measure(side: str, t: float, n: int, pids: list[int], start: Callable[[], None], span: Callable[[], tuple[int, float]]) -> Row:
    """`span` gives rows committed so far and seconds from the first picture's begin to the last commit."""
    before = sum(cpu_seconds(pid) for pid in pids)
    start()
    wait_for(lambda: span()[0] >= n)
    spent = sum(cpu_seconds(pid) for pid in pids) - before
    wall = span()[1]
    return Row(side, round(t * 1000), n, round(100 * (1 - n * t / wall), 2), round(1000 * spent / n, 1), round(wall, 2))


def ours(on: Ground, order: Order, t: float, n: int) -> Row:
    environment = {**on.environment(), "FACTORY_SIMULATED_SECONDS": str(t)}
    with running([sys.executable, "-m", "factory", "worker", "gpu"], environment, on.folder / "worker.log") as worker:
        batch = place_order(order, 2)
        wait_for(lambda: order.span(batch)[0] >= 2)  # warm: child up, checkpoint loaded, connections made
        ids: list[uuid.UUID] = []
        return measure("factory", t, n, [worker.pid], lambda: ids.append(place_order(order, n)), lambda: order.span(ids[0]))


def peer_span(on: Ground, peer: str) -> tuple[int, float]:
    with psycopg.connect(plain(on)) as connection:
        row = connection.execute(
            "SELECT count(*), coalesce(extract(epoch FROM max(finished) - min(started)), 0) FROM peer_log WHERE peer = %s", (peer,)
        ).fetchone()
    assert row is not None
    return int(row[0]), float(row[1])


def plain(on: Ground) -> str:
    return on.postgres.url.replace("postgresql+psycopg://", "postgresql://")


def forget(on: Ground) -> None:
    with psycopg.connect(plain(on), autocommit=True) as connection:
        connection.execute("TRUNCATE peer_log")


def brpop(on: Ground, t: float, n: int) -> Row:
    forget(on)
    arguments = [on.valkey.url, plain(on), on.s3.url, on.s3.access_key, on.s3.secret_key, BUCKET, str(t)]
    with running([sys.executable, "-m", "bench.peers.brpop_loop", *arguments], on.environment(), on.folder / "brpop.log") as worker:
        queue = redis.Redis.from_url(on.valkey.url)

        def push(count: int) -> None:
            queue.lpush(brpop_loop.LIST, *[json.dumps({"id": str(uuid.uuid4()), "prompt": PROMPT}) for _ in range(count)])

        push(1)
        wait_for(lambda: peer_span(on, "brpop")[0] >= 1)
        forget(on)
        return measure("brpop loop", t, n, [worker.pid], lambda: push(n), lambda: peer_span(on, "brpop"))


def chain(on: Ground, t: float, n: int) -> Row:
    forget(on)
    environment = {
        **on.environment(),
        "BENCH_REDIS": on.valkey.url,
        "BENCH_DATABASE": plain(on),
        "BENCH_ENDPOINT": on.s3.url,
        "BENCH_KEY": on.s3.access_key,
        "BENCH_SECRET": on.s3.secret_key,
        "BENCH_BUCKET": BUCKET,
    }
    celery = [sys.executable, "-m", "celery", "-A", "bench.peers.celery_chain:app", "worker", "--loglevel=ERROR"]
    gpu, cpu = [*celery, "-Q", "chain-gpu", "-P", "solo", "-n", "g@b"], [*celery, "-Q", "chain-cpu", "-c", "2", "-n", "c@b"]
    log = on.folder / "chain.log"
    with running(gpu, environment, log) as first, running(cpu, environment, log) as second:
        from bench.peers.celery_chain import app, generate, label, upload
        from bench.peers.celery_chain import log as log_task

        app.conf.broker_url = on.valkey.url

        def send(count: int) -> None:
            for _ in range(count):
                (generate.s(str(uuid.uuid4()), PROMPT, t) | label.s() | upload.s() | log_task.s()).apply_async()

        send(2)
        wait_for(lambda: peer_span(on, "chain")[0] >= 2)
        forget(on)
        return measure("celery chain", t, n, [first.pid, second.pid], lambda: send(n), lambda: peer_span(on, "chain"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=12, help="simulated GPU seconds of each run")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    print(machine())
    rows: list[Row] = []
    with ground() as on:
        order = prepare(on)
        with psycopg.connect(plain(on), autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE peer_log (peer text, id uuid PRIMARY KEY, started timestamptz, finished timestamptz, sha256 text)"
            )
        for t in GOALS:
            n = max(10, round(arguments.seconds / t))
            for run in (
                lambda t=t, n=n: ours(on, order, t, n),
                lambda t=t, n=n: brpop(on, t, min(n, PEER_PICTURES)),
                lambda t=t, n=n: chain(on, t, min(n, PEER_PICTURES)),
            ):
                rows.append(run())
                row = rows[-1]
                print(
                    f"T {row.t_ms:5d} ms  {row.side:13s} n {row.pictures:4d}  idle {row.idle_percent:6.2f} %  CPU {row.cpu_ms_per_picture:7.1f} ms/picture"
                )
        agreed = order.agrees()
    verdicts = [row.idle_percent <= GOALS[row.t_ms / 1000] for row in rows if row.side == "factory"]
    for row, met in zip([row for row in rows if row.side == "factory"], verdicts, strict=True):
        print(f"goal idle ≤ {GOALS[row.t_ms / 1000]:.0f} % at T = {row.t_ms} ms: {'met' if met else 'MISSED'} ({row.idle_percent} %)")
    cpu = min(row.cpu_ms_per_picture for row in rows if row.side == "factory")
    verdicts.append(cpu <= CPU_GOAL_MS)
    print(f"goal CPU ≤ {CPU_GOAL_MS:.0f} ms per finished picture, whole worker: {'met' if verdicts[-1] else 'MISSED'} ({cpu} ms)")
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    if not agreed:
        print("void: jobs, records and objects do not agree")
        return 2
    return 0 if all(verdicts) else 1


if __name__ == "__main__":
    sys.exit(main())
