"""Redis frozen for a full minute while orders arrive at the real API and a picture is being drawn."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest

from factory.domain.api_key import Scope
from factory.embedded.ports import free_port
from factory.jobs.keys import create_key
from tests.integration.queue.plant import ACTOR, TENANT, Plant, until

pytestmark = [pytest.mark.drill, pytest.mark.timeout(300)]
MINUTE = 60.0


def test_every_order_is_answered_and_every_job_ends(build_plant: Callable[..., Plant]) -> None:
    plant = build_plant(FACTORY_SIMULATED_SECONDS="1", FACTORY_LEASE_SECONDS="5")
    port = free_port()
    _, secret = create_key(plant.db, tenant=TENANT, name="drill", scopes=list(Scope), actor=ACTOR)
    plant.hire("api", "--port", str(port), name="api")
    for role in (("worker", "gpu"), ("worker", "cpu"), ("beat",)):
        plant.hire(*role)
    until(lambda: answers(port), 60, "the API answers")
    first, _ = order(port, secret)
    until(lambda: plant.job(first)["status"] == "running", 60, "a picture is being drawn")
    plant.valkey.freeze()
    began, jobs, slowest = time.monotonic(), [first], 0.0
    try:
        while time.monotonic() - began < MINUTE:
            job, seconds = order(port, secret)
            jobs.append(job)
            slowest = max(slowest, seconds)
            time.sleep(2)
    finally:
        plant.valkey.thaw()
    assert slowest < 1, f"an order waited {slowest:.2f} s"
    took = until(lambda: all(plant.ended(job) for job in jobs), 180, "every job ends without help")
    assert plant.statuses() == {"succeeded": len(jobs)}
    plant.books_balance()
    print(f"{len(jobs)} orders, slowest answer {slowest * 1000:.0f} ms, all ended {took:.0f} s after the thaw")  # noqa: T201


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=1):
            return True
    except OSError:
        return False


def order(port: int, secret: str) -> tuple[str, float]:
    """The id and the seconds until its 202."""
    body = json.dumps({"prompt": "a kettle on a table", "seed": 1}).encode()
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    began = time.perf_counter()
    with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/api/v1/jobs", body, headers), timeout=10) as answer:
        assert answer.status == 202
        return str(json.load(answer)["id"]), time.perf_counter() - began
