"""Orders that were received as files are read by a cpu worker: when it is rung for, and without any ring."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import uuid
from collections.abc import Callable

import pytest

from factory.jobs.batch_order import BatchOrder
from factory.jobs.receive_order import OrderFile, receive_order
from tests.integration.jobs.books import SHA
from tests.integration.queue.plant import ROOT, Plant, until

RING = "import time; from factory.tasks.ring import wake_reader; wake_reader(); time.sleep(1)"


@pytest.fixture(scope="module")
def plant(build_plant: Callable[..., Plant]) -> Plant:
    plant = build_plant()
    plant.hire("worker", "cpu")
    return plant


def receive(plant: Plant, rows: int) -> uuid.UUID:
    file = io.BytesIO(b"\n".join(json.dumps({"prompt": "红杯", "sku": f"S-{number}"}).encode() for number in range(rows)))
    with plant.db.transaction() as session:
        sent = OrderFile(file, "ndjson", SHA, {}, {})
        return receive_order(
            session, plant.db.now(), plant.caller, BatchOrder("spring"), sent, request_sha256=str(uuid.uuid4()), max_queued=10**6
        )


def jobs_of(plant: Plant, batch: uuid.UUID) -> int:
    return int(plant.rows("SELECT count(*) AS n FROM jobs WHERE batch_id = %s", batch)[0]["n"])


def test_a_ring_wakes_a_reader_that_reads_all_there_is(plant: Plant) -> None:
    batches = [receive(plant, 3) for _ in range(3)]
    subprocess.run([sys.executable, "-c", RING], env=plant.env, cwd=ROOT, check=True, timeout=120)
    until(lambda: [jobs_of(plant, batch) for batch in batches] == [3, 3, 3], 60, "all are read")
    until(lambda: plant.redis.llen("gpu") >= 1, 60, "and their pictures are rung for")


def test_without_a_ring_beat_sends_one(plant: Plant) -> None:
    batch = receive(plant, 600)
    plant.hire("beat")
    until(lambda: jobs_of(plant, batch) == 600, 120, "it is read")
