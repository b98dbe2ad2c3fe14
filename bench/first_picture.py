"""How long a person waits for a picture behind a batch of 10 000: the factory and one list for everybody (FIFO).

`python -m bench.first_picture [--quick] [--rows 10000] [--seconds 60] [--json FILE]`. Four GPU workers as they are started in production,
the simulated engine at T = 200 ms, eight checkpoints of which three fit a card and which take 2 s to load. Expected before measuring: FIFO makes
them wait for the batch, rows · T / 4 = 500 s; the factory 0.3 s in the middle and 2 s at worst, a load; the batch loses nothing that can be seen.
Exit 0: goals met, 1: not met, 2: pictures and rows do not agree (the run is void).
"""

import argparse
import json
import random
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import redis

from bench.gpu_idle import running, wait_for
from bench.ground import Ground, cpu_seconds, ground, machine
from bench.peers.fifo_line import DONE, WAITING
from bench.shop import WEIGHT, Shop

T, LOAD, WORKERS, CHECKPOINTS, HELD = 0.2, 2.0, 4, 8, 3
SHARE = 0.03
NAMES = [f"checkpoint-{n}" for n in range(1, CHECKPOINTS + 1)]
POPULARITY = [1 / n**1.2 for n in range(1, CHECKPOINTS + 1)]
WAITS_GOAL, RATIO_GOAL, LOSS_GOAL = 3 * T + LOAD, 100.0, 3.0


@dataclass
class Row:
    side: str
    orders: int
    p50_s: float
    p99_s: float
    cpu_ms_per_picture: float
    pictures_per_second: float
    loss_percent: float | None = None


def quantiles(values: list[float]) -> tuple[float, float]:
    ordered = sorted(values)
    return tuple(round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3) for share in (0.5, 0.99))


def ours(on: Ground, shop: Shop, rows: int, seconds: float) -> tuple[Row, bool]:
    environment = {
        **on.environment(),
        "FACTORY_STORAGE_URL": (on.folder / "pictures").as_uri(),
        "FACTORY_SIMULATED_SECONDS": str(T),
        "FACTORY_VRAM_BYTES": str(HELD * WEIGHT),
    }
    roles = [("worker", "cpu"), ("beat",), *[("worker", "gpu")] * WORKERS]
    with ExitStack() as stack:
        shop.order_batch(rows)
        processes = []
        for n, role in enumerate(roles):
            mine = environment | ({"FACTORY_WORKER_NAME": f"bench-{n}"} if role[0] == "worker" else {})
            log = on.folder / f"{'-'.join(role)}-{n}.log"
            processes.append(stack.enter_context(running([sys.executable, "-m", "factory", *role], mine, log)))
        wait_for(lambda: shop.counts()[0] >= 20 * WORKERS)  # warm: everybody draws
        before = shop.counts()[0]
        time.sleep(seconds)
        alone = (shop.counts()[0] - before) / seconds
        ids, before, cpu, began = [], shop.counts()[0], sum(cpu_seconds(each.pid) for each in processes), time.monotonic()
        chance = random.Random(1)
        while time.monotonic() - began < seconds:
            ids.append(shop.order_one(chance.choices(NAMES, POPULARITY)[0], len(ids)))
            time.sleep(chance.expovariate(SHARE * alone))
        took = time.monotonic() - began
        drawn = shop.counts()[0] - before
        cpu = sum(cpu_seconds(each.pid) for each in processes) - cpu
        wait_for(lambda: len(shop.waited(ids)) == len(ids))
        loss = round(100 * (1 - drawn / took / alone), 2)
        waits = shop.waited(ids)
    done, assets, records = shop.counts()
    row = Row("factory", len(ids), *quantiles(waits), round(1000 * cpu / max(1, drawn), 1), round(drawn / took, 2), loss)
    return row, done == assets == records


def fifo(on: Ground, rows: int, orders: int, seconds: float) -> Row:
    """The same backlog and the same orders, spread over the same time."""
    queue, chance = redis.Redis.from_url(on.valkey.url), random.Random(1)
    command = [sys.executable, "-m", "bench.peers.fifo_line", on.valkey.url, str(T), str(LOAD), str(HELD)]
    with ExitStack() as stack:
        each = rows // CHECKPOINTS
        for name in NAMES:
            queue.lpush(WAITING, *[json.dumps({"checkpoint": name, "at": time.time(), "person": False})] * each)
        began = time.time()
        processes = [stack.enter_context(running(command, on.environment(), on.folder / f"fifo-{n}.log")) for n in range(WORKERS)]
        for _ in range(orders):
            name = chance.choices(NAMES, POPULARITY)[0]
            queue.lpush(WAITING, json.dumps({"checkpoint": name, "at": time.time(), "person": True}))
            time.sleep(seconds / orders)
        ends = time.monotonic() + 120 + 2 * rows * T / WORKERS
        while queue.llen(DONE) < each * CHECKPOINTS + orders:
            if time.monotonic() > ends:
                raise TimeoutError("the list was not drawn in time")
            time.sleep(0.5)
        cpu, took = sum(cpu_seconds(process.pid) for process in processes), time.time() - began
        done = [json.loads(raw) for raw in queue.lrange(DONE, 0, -1)]
    waits = [job["took"] for job in done if job["person"]]
    return Row("fifo", orders, *quantiles(waits), round(1000 * cpu / len(done), 1), round(len(done) / took, 2))


def verdicts(factory: Row, line: Row) -> list[bool]:
    ratio = line.p50_s / factory.p50_s
    goals = [
        (f"p99 ≤ 3 T + one load = {WAITS_GOAL:.1f} s", factory.p99_s <= WAITS_GOAL, f"{factory.p99_s} s of {factory.orders}"),
        (f"{RATIO_GOAL:.0f}× sooner than FIFO", ratio >= RATIO_GOAL, f"{ratio:.0f}×"),
        (
            f"batch and people together lose ≤ {LOSS_GOAL:.0f} % of the batch's rate",
            factory.loss_percent <= LOSS_GOAL,
            f"{factory.loss_percent} %",
        ),
    ]
    for goal, met, seen in goals:
        print(f"goal {goal}: {'met' if met else 'MISSED'} ({seen})")
    return [met for _, met, _ in goals]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--seconds", type=float, default=60, help="how long the batch is watched alone, and then beside people")
    parser.add_argument("--quick", action="store_true", help="1200 rows, 15 s")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rows, seconds = (1200, 15.0) if arguments.quick else (arguments.rows, arguments.seconds)
    print(machine())
    with ground() as on:
        factory, agreed = ours(on, Shop(on, NAMES, load_seconds=LOAD), rows, seconds)
        line = fifo(on, rows, factory.orders, seconds)
    for row in (factory, line):
        print(
            f"{row.side:8s} n {row.orders:3d}  CPU {row.cpu_ms_per_picture:6.1f} ms/picture  first picture p50 {row.p50_s:8.2f} s"
            f"  p99 {row.p99_s:8.2f} s  {row.pictures_per_second:5.1f} pictures/s"
        )
    met = verdicts(factory, line)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(factory), asdict(line)], indent=1))
    if not agreed:
        print("void: jobs, assets and records do not agree")
        return 2
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
