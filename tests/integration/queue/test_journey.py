"""One order from its row to a stored, labelled, logged picture, by real workers; and a broker that forgets or lies."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import pickle
import uuid

import pytest
from PIL import Image

from tests.cpu_time import least_seconds
from tests.integration.queue.plant import Plant, child_of, until


@pytest.fixture(scope="module")
def plant(build_plant):
    plant = build_plant()
    plant.hire("worker", "gpu")
    plant.hire("worker", "cpu")
    plant.hire("beat")
    return plant


def test_one_order_becomes_a_stored_labelled_logged_picture(plant: Plant) -> None:
    job = plant.order(project="春季", sku="A-7")
    plant.ring()
    until(lambda: plant.ended(job), 120, "the job ends")
    assert plant.job(job)["status"] == "succeeded"
    assert plant.actions(job) == ["job.submitted", "job.started", "job.succeeded"]
    [asset] = plant.rows("SELECT * FROM assets WHERE job_id = %s", job)
    content = (plant.pictures / asset["key"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == asset["sha256"]
    assert asset["filename"].startswith("春季_")
    picture = Image.open(io.BytesIO(content))
    assert (picture.format, picture.size) == ("PNG", (128, 128))
    picture.load()
    assert b"AIGC" in content, "the file does not say that it was generated"
    [record] = plant.rows("SELECT * FROM generations WHERE job_id = %s", job)
    assert (record["asset_sha256"], record["evaluations"], record["sku"], record["worker"]) == (asset["sha256"], 8, "A-7", "worker-gpu")
    plant.books_balance()


def test_a_warm_worker_answers_a_ring_at_once(plant: Plant) -> None:
    """The clock of upkeep stands still meanwhile: nobody else rings. A busy machine may make it slow once or twice."""

    def answered() -> float:
        job = plant.order()
        plant.ring()
        return until(lambda: plant.ended(job), 30, "the job ends")

    [beat] = [each for each in plant.hired if each.log.name == "beat.log"]
    beat.freeze()
    try:
        assert least_seconds(answered, below=2) < 2
    finally:
        beat.thaw()


def test_work_survives_a_flushed_broker(plant: Plant) -> None:
    """Nobody rings after the flush but upkeep."""
    jobs = [plant.order() for _ in range(5)]
    plant.ring(3)
    plant.redis.flushall()
    late = plant.order()
    until(lambda: all(map(plant.ended, [*jobs, late])), 90, "upkeep rings for what waits")
    plant.books_balance()


def message(
    task: str = "factory.generate", *, headers: dict[str, object] | None = None, body: bytes | None = None, **properties: object
) -> str:
    """A message as kombu's Redis transport lays it on a list."""
    number = str(uuid.uuid4())
    content = (
        body if body is not None else json.dumps([[], {}, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]).encode()
    )
    delivery = {"exchange": "", "routing_key": "gpu"}
    return json.dumps(
        {
            "body": base64.b64encode(content).decode(),
            "content-encoding": "utf-8",
            "content-type": "application/json",
            "headers": {"lang": "py", "task": task, "id": number, "root_id": number, **(headers or {})},
            "properties": {"delivery_info": delivery, "delivery_tag": number, "body_encoding": "base64", "delivery_mode": 2, "priority": 0}
            | properties,
        }
    )


class Evil:
    """Unpickled, it would leave a file."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self):
        return open, (self.path, "w")


def test_forged_messages_do_nothing_and_the_worker_lives(plant: Plant) -> None:
    trap = plant.folder / "trap"
    evil = {"job_id": str(uuid.uuid4()), "spec": {"prompt": "x"}, "storage_url": "file:///etc", "__class__": "os.system"}
    arguments = [[str(trap), {"cmd": "touch"}], evil, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}]
    pickled = json.loads(message(body=pickle.dumps(Evil(str(trap)))))
    pickled["content-type"], pickled["content-encoding"] = "application/x-python-serialize", "binary"
    before = plant.rows("SELECT count(*) AS n FROM audit_events"), plant.statuses()
    [parent] = [each for each in plant.hired if each.log.name == "worker-gpu.log"]
    child = child_of(parent).pid
    for forged in (
        message("os.system"),
        message("factory.upkeep.sweep"),
        message(body=json.dumps(arguments).encode()),
        message(body=b"[[], {}"),
        message(body=b"\xff\x00 no json"),
        message(body=json.dumps({"job_id": 1}).encode()),
        json.dumps(pickled),
        message(headers={"timelimit": [0.001, 0.001]}),
        message(headers={"id": {"a": 1}, "eta": "never"}),
        message(headers={"id": "x" * 10_000, "expires": "never", "compression": "zip"}, delivery_tag=None),
        "garbage, not even JSON",
        "[" * 100_000,
        json.dumps({"body": 1}),
        json.dumps([1, {"__type__": "datetime", "__value__": "noon"}]),
        message(headers={"retries": 10**6, "shadow": "x" * 1000, "group": "g", "reply_to": "somewhere"}),
    ):
        plant.redis.lpush("gpu", forged)
    until(lambda: not plant.redis.llen("gpu"), 60, "the worker reads them all")
    job = plant.order()
    plant.ring()
    until(lambda: plant.ended(job), 60, "the worker still draws")
    assert not trap.exists()
    assert parent.alive()
    assert child_of(parent).pid == child, "a forged message ended the process that holds the card"
    assert plant.rows("SELECT count(*) AS n FROM audit_events")[0]["n"] == before[0][0]["n"] + 3, "only the real job left events"
    plant.books_balance()


def test_the_broker_cannot_command_a_worker(plant: Plant) -> None:
    """Remote control answers questions and obeys nobody."""
    control = plant.celery().control
    control.broadcast("shutdown")
    control.broadcast("pool_restart", arguments={"modules": ["antigravity"]})
    control.broadcast("cancel_consumer", arguments={"queue": "gpu"})
    control.broadcast("time_limit", arguments={"task_name": "factory.generate", "hard": 0.001})
    assert {name for answer in control.ping(timeout=30, limit=2) for name in answer} == {"gpu@worker-gpu", "cpu@worker-cpu"}
    job = plant.order()
    plant.ring()
    until(lambda: plant.ended(job), 60, "the worker still draws")
    assert all(process.alive() for process in plant.hired)
