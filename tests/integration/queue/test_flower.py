"""Flower: nothing without the password, nothing but reading with it, and every picture a row that tells no prompt."""

from __future__ import annotations

import base64
import json
import re
import urllib.error
import urllib.request
from typing import Any

import pytest

from factory.embedded.ports import free_port
from factory.jobs.checkpoints import register_checkpoint
from factory.workers.checkpoints import manifest_sha256
from factory.workers.engines.simulated import write_checkpoint
from tests.integration.queue.plant import ACTOR, SECRET_PROMPT, Plant, until

PASSWORD = "correct-horse"
PAGES = (
    "/",
    "/workers",
    "/tasks",
    "/broker",
    "/metrics",
    "/healthcheck",
    "/api/workers",
    "/api/tasks",
    "/api/task/types",
    "/api/queues/length",
)
OTHERS = (
    "/login",
    "/logout",
    "/static/css/flower.css",
    "/tasks/datatable",
    "/worker/x",
    "/task/x",
    "/no-such-page",
    "/metrics/",
    "//metrics",
)


class Window:
    def __init__(self, port: int) -> None:
        self.port = port

    def ask(self, path: str, *, password: str = "", method: str = "GET") -> tuple[int, str]:
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", method=method, data=b"{}" if method == "POST" else None)
        if password:
            request.add_header("Authorization", "Basic " + base64.b64encode(f"ops:{password}".encode()).decode())
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as refusal:
            return refusal.code, refusal.read().decode()
        except OSError:
            return 0, ""

    def tasks(self) -> dict[str, dict[str, Any]]:
        return dict(json.loads(self.ask("/api/tasks?limit=1000", password=PASSWORD)[1]))


@pytest.fixture(scope="module")
def plant(build_plant):
    return build_plant(FACTORY_FLOWER_PORT=str(free_port()), FACTORY_FLOWER_PASSWORD=PASSWORD)


@pytest.fixture(scope="module")
def window(plant: Plant) -> Window:
    window = Window(plant.settings.flower_port)
    plant.hire("flower")
    until(lambda: window.ask("/healthcheck")[0] != 0, 120, "Flower listens")
    plant.hire("worker", "gpu")
    until(lambda: "gpu@worker-gpu" in window.ask("/workers", password=PASSWORD)[1], 120, "Flower sees the worker")
    return window


@pytest.mark.parametrize("path", [*PAGES, *OTHERS])
def test_no_route_is_open(window: Window, path: str) -> None:
    for password in ("", "wrong"):
        status, text = window.ask(path, password=password)
        assert status == 401
        assert "worker" not in text
    assert window.ask(path, method="POST")[0] in (401, 403)
    assert window.ask(path, method="OPTIONS")[0] == 401


@pytest.mark.parametrize("path", PAGES)
def test_the_password_opens(window: Window, path: str) -> None:
    assert window.ask(path, password=PASSWORD)[0] == 200


@pytest.mark.parametrize(
    "path",
    [
        "/api/worker/shutdown/gpu@worker-gpu",
        "/api/worker/pool/grow/gpu@worker-gpu",
        "/api/worker/queue/cancel-consumer/gpu@worker-gpu?queue=gpu",
        "/api/task/apply/factory.upkeep.sweep",
        "/api/task/async-apply/factory.upkeep.sweep",
        "/api/task/send-task/factory.upkeep.sweep",
        "/api/task/revoke/some-id?terminate=true",
        "/api/task/timeout/factory.generate",
    ],
)
def test_it_is_read_only(window: Window, plant: Plant, path: str) -> None:
    status, _ = window.ask(path, password=PASSWORD, method="POST")
    assert status in (403, 405)
    assert all(process.alive() for process in plant.hired)


def test_each_picture_is_a_row(window: Window, plant: Plant) -> None:
    """State, worker, runtime, SKU and checkpoint of each; the error of one that failed; of no picture its prompt."""
    sha256 = manifest_sha256(write_checkpoint(plant.folder / "checkpoints" / "broken"))
    register_checkpoint(plant.db, name="broken", engine="simulated", sha256=sha256, size=1, native_side=64, actor=ACTOR)
    (plant.folder / "checkpoints" / "broken" / "card.json").write_text("{}")
    good = [plant.order(sku=f"SKU-{n}", model="cards") for n in range(3)]
    bad = plant.order(sku="SKU-bad", model="broken")
    plant.ring()
    until(plant.idle, 90, "all end")
    assert plant.job(bad)["status"] == "failed"
    until(lambda: {str(job) for job in [*good, bad]} <= set(window.tasks()), 60, "Flower hears of each")
    until(lambda: all(window.tasks()[str(job)]["state"] == "SUCCESS" for job in good), 60, "and of its end")
    until(lambda: window.tasks()[str(bad)]["state"] == "FAILURE", 60, "and of the failure")
    rows = window.tasks()
    for number, job in enumerate(good):
        row = rows[str(job)]
        assert (row["name"], row["worker"]) == ("picture", "gpu@worker-gpu")
        assert f"SKU-{number}" in row["kwargs"]
        assert "cards" in row["kwargs"]
        assert row["runtime"] >= 0.1
        assert "8 evaluations" in row["result"]
        assert rows[row["parent"] if "parent" in row else row["parent_id"]]["name"] == "factory.generate"
    assert rows[str(bad)]["exception"] == "bad_checkpoint"
    everything = window.ask("/api/tasks?limit=1000", password=PASSWORD)[1] + window.ask(f"/task/{good[0]}", password=PASSWORD)[1]
    assert SECRET_PROMPT not in everything
    assert SECRET_PROMPT.encode("unicode_escape").decode() not in everything
    assert re.search(r'flower_events_total\{task="picture",type="task-succeeded",.*\} 3', window.ask("/metrics", password=PASSWORD)[1])
