"""What a claim costs with 10, 100k and 1M jobs waiting, and behind an old snapshot, for one worker and for eight at once.

`python -m bench.claim_cost [--quick] [--sizes 10,10000] [--wait-for-disk] [--json FILE]`: the factory and a plain claim. Expected before
measuring: the same 1.5 ms at every depth, most of it building the statement; about 0.3 ms for the plain claim; after 150 000 finished jobs
under a held snapshot 2 ms with marks and twenty without, for the plain claim too. Eight at once cost what one costs: each draws for 0.2 s
between its claims. Commits do not wait for the disk unless told to: that is the disk's time, not the queue's.
Exit 0: p50 within 2 ms everywhere, 1: not, 2: a job was claimed twice or could not be claimed (the run is void).
"""

import argparse
import json
import sys
import tempfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from bench.claim_cases import WORKERS, Filled, Row, Void, alone, behind_a_snapshot, together
from bench.claimers import SIDES
from bench.ground import machine
from bench.queue_rows import queue
from factory.embedded.postgres import Postgres
from factory.jobs.migrate import migrate

GOAL_MS = 2.0
SETTINGS = {"shared_buffers": "256MB", "autovacuum": "off", "max_wal_size": "4GB"}
# Eight workers find a job each.
FEWEST = 10


@dataclass(frozen=True)
class Plan:
    """`claims` by each side alone, `paced` by each of the eight. The longest queue is claimed behind a snapshot too."""

    sizes: tuple[int, ...]
    claims: int
    paced: int

    @property
    def finished(self) -> int:
        """How many leave the longest queue while the snapshot is held."""
        return min(150_000, self.sizes[-1] * 3 // 10)

    @property
    def behind(self) -> int:
        """Claims by each side alone, behind the snapshot: there each may take long."""
        return max(50, self.claims // 5)

    def uses_up(self, waiting: int) -> bool:
        """Too few for the run, so that what is claimed has to return."""
        return waiting < 10 * (self.claims + WORKERS * self.paced)

    def outlasts(self) -> bool:
        """The longest queue is long enough for what leaves it, and for what is claimed behind the snapshot."""
        return self.sizes[-1] - self.finished > 2 * (4 * self.behind + 2 * WORKERS * self.paced)


FULL, QUICK = Plan((10, 100_000, 1_000_000), 500, 100), Plan((10, 10_000, 50_000), 100, 25)


def measure(plan: Plan, settings: dict[str, str]) -> list[Row]:
    """On a server of its own. Raises Void."""
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="factory-bench-") as folder,
        Postgres(Path(folder) / "postgres", settings=settings) as server,
    ):
        migrate(server.url)
        for waiting in plan.sizes:
            with queue(server, waiting) as (url, owner):
                filled = Filled(server, url, owner, waiting, gives_back=plan.uses_up(waiting))
                found = alone(filled, f"{waiting} waiting", plan.claims)
                found += together(filled, f"{waiting} waiting, {WORKERS} at once", plan.paced)
                if waiting == plan.sizes[-1] and plan.outlasts():
                    found += behind_a_snapshot(replace(filled, gives_back=False), plan.finished, plan.behind, plan.paced)
                show(found)
                rows += found
    if not plan.outlasts():
        print(f"{plan.sizes[-1]} jobs are too few to be claimed behind a snapshot: left out")
    return rows


def show(rows: list[Row]) -> None:
    for row in rows:
        server = "" if row.server_cpu_ms is None else f"  server CPU {row.server_cpu_ms:6.2f}"
        print(
            f"{row.what:48s} {row.side:12s} client CPU {row.client_cpu_ms:5.2f}{server} ms   p50 {row.p50_ms:7.2f}  p99 {row.p99_ms:7.2f} ms"
            f"   in Postgres {row.postgres_ms:6.2f} ms   n {row.claims}"
        )


def sizes(text: str) -> tuple[int, ...]:
    """`10,10000`, in order."""
    found = tuple(sorted({int(part) for part in text.split(",")}))
    if found[0] < FEWEST:
        raise argparse.ArgumentTypeError(f"{found[0]} is less than {FEWEST}: eight workers must find a job each")
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer claims, and 50k rows instead of a million")
    parser.add_argument("--sizes", type=sizes, metavar="N,N", help="how many jobs wait, instead of 10, 100k and 1M")
    parser.add_argument("--wait-for-disk", action="store_true", help="commits wait until the disk has them")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else FULL
    plan = replace(plan, sizes=arguments.sizes or plan.sizes)
    print(machine())
    try:
        rows = measure(plan, {**SETTINGS, "synchronous_commit": "on" if arguments.wait_for_disk else "off"})
    except Void as why:
        print(f"void: {why}")
        return 2
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))
    judged = [row for row in rows if row.side == SIDES[0] and row.counts]
    worst = max(judged, key=lambda row: row.p50_ms)
    met = worst.p50_ms <= GOAL_MS
    print(f"goal p50 ≤ {GOAL_MS:.0f} ms in all: {'met' if met else 'MISSED'} (worst {worst.p50_ms} ms: {worst.what})")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
