"""A broker that answers nothing for a while: nobody waits for it, no picture is lost, every worker consumes afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from factory.embedded.guarded import Guarded
from tests.integration.queue.plant import ROOT, Plant, until


@pytest.fixture(scope="module")
def plant(build_plant):
    plant = build_plant(FACTORY_SIMULATED_SECONDS="0.3", FACTORY_WATCHDOG_SECONDS="60")
    plant.hire("worker", "gpu")
    plant.hire("worker", "cpu")
    plant.hire("beat")
    return plant


@pytest.fixture
def frozen(plant: Plant) -> Iterator[Plant]:
    plant.valkey.freeze()
    yield plant
    plant.valkey.thaw()


TIMES = """
import time
from factory.tasks.ring import BELL, ring
for call in (*[lambda: ring(3)] * 21, lambda: BELL.ring_now(3)):
    began = time.perf_counter(); call(); print("took", time.perf_counter() - began)
"""


def ring_times(plant: Plant) -> list[float]:
    done = subprocess.run([sys.executable, "-c", TIMES], env=plant.env, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    return [float(line.split()[1]) for line in done.stdout.splitlines() if line.startswith("took")]


def test_a_ring_holds_nobody_up_while_the_broker_is_frozen(frozen: Plant) -> None:
    first, *others, now = ring_times(frozen)
    assert max(first, *others) < 0.5, "none waits for the broker, which takes a second; the first starts its thread too"
    assert min(others) < 0.005, "on a busy machine some of them wait for a core"
    assert now < 10, "one attempt"


def test_eight_frozen_seconds_lose_nothing(plant: Plant) -> None:
    """Frozen while pictures are drawn; orders go on arriving."""
    jobs = [plant.order() for _ in range(10)]
    plant.ring()
    until(lambda: "running" in plant.statuses() and plant.statuses().get("succeeded", 0) >= 1, 120, "pictures are drawn")
    plant.valkey.freeze()
    try:
        jobs += [plant.order() for _ in range(3)]
        until(lambda: plant.statuses().get("succeeded", 0) >= 10, 15, "the shift goes on without the broker")
        time.sleep(4)
    finally:
        plant.valkey.thaw()
    late = plant.order()
    until(lambda: all(map(plant.ended, [*jobs, late])), 120, "all end without anybody's help")
    assert plant.statuses() == {"succeeded": len(jobs) + 1}
    plant.books_balance()


CAREFUL = """
from factory.settings import load_settings
from factory.tasks.celery_app import app
if __name__ == "__main__":
    # Shorter than the freeze, so that the acknowledgement fails.
    app.conf.broker_transport_options = app.conf.broker_transport_options | {"socket_timeout": 1, "retry_on_timeout": False}
    %s
    from factory.tasks.roles import run_worker
    run_worker("gpu", load_settings())
"""


def hasty_worker(plant: Plant, name: str, extra: str = "pass") -> Guarded:
    script = plant.folder / f"{name}.py"
    script.write_text(CAREFUL % extra)
    env = plant.env | {"FACTORY_WORKER_NAME": name, "PYTHONPATH": str(ROOT)}
    worker = Guarded([sys.executable, str(script)], log=plant.folder / f"{name}.log", env=env, cwd=ROOT, grace=20)
    plant.hired.append(worker)
    return worker


def acknowledge_into_a_freeze(plant: Plant) -> None:
    """The broker stands still from within the shift until after its acknowledgement timed out."""
    job = plant.order()
    plant.ring()
    until(lambda: plant.job(job)["status"] == "running", 120, "it is drawn")
    plant.valkey.freeze()
    try:
        until(lambda: plant.ended(job), 20, "it ends without the broker")
        time.sleep(4)
    finally:
        plant.valkey.thaw()


def consumes(plant: Plant, seconds: float) -> bool:
    job = plant.order()
    plant.ring()
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if plant.ended(job):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.drill
def test_a_failed_acknowledgement_does_not_wedge_the_worker(build_plant) -> None:
    plant = build_plant(FACTORY_SIMULATED_SECONDS="0.5")
    worker = hasty_worker(plant, "safe")
    acknowledge_into_a_freeze(plant)
    assert consumes(plant, 20), (plant.folder / "safe.log").read_text()[-3000:]
    assert worker.alive()


WEDGED = """
from celery import signals
import threading, time
def stop_consuming(sender, **_):
    def later():
        time.sleep(1); sender.call_soon(sender.cancel_task_queue, "gpu")
    threading.Thread(target=later, daemon=True).start()
signals.worker_ready.connect(stop_consuming, weak=False)
"""


def test_a_worker_that_stopped_consuming_exits(build_plant) -> None:
    """It answers pings and looks well; work waits, so it ends with a code that says that something was wrong."""
    plant = build_plant(FACTORY_WATCHDOG_SECONDS="3")
    worker = hasty_worker(plant, "wedged", WEDGED.replace("\n", "\n    "))
    until(lambda: "ready" in (plant.folder / "wedged.log").read_text(), 120, "it is ready")
    time.sleep(2)
    plant.order()

    def gone() -> bool:
        if not plant.redis.llen("gpu"):
            plant.ring()  # it took what came before it had stopped
        return not worker.alive()

    until(gone, 90, "it exits")
    assert worker.returncode == 70
    assert "consumes nothing" in (plant.folder / "wedged.log").read_text()


@pytest.mark.drill
def test_a_worker_without_work_stays(build_plant) -> None:
    plant = build_plant(FACTORY_WATCHDOG_SECONDS="1")
    worker = plant.hire("worker", "gpu")
    job = plant.order()
    plant.ring()
    until(lambda: plant.ended(job), 40, "it works")
    time.sleep(3)
    assert worker.alive()
    os.kill(worker.pid, 0)
