"""Parts of a worker process, started in this one: a start that failed, a watchdog that slept, entries that are no messages."""

from __future__ import annotations

import importlib
import json
import threading
import time
import urllib.request
from types import ModuleType

import pytest
from kombu.connection import Connection

from factory.embedded.ports import free_port
from factory.errors import StorageDown
from factory.settings import load_settings
from factory.tasks import safe_qos
from factory.tasks.clean_messages import clean
from tests.integration.queue.plant import Plant


@pytest.fixture(scope="module")
def plant(build_plant):
    return build_plant()


def load(name: str, plant: Plant, patch: pytest.MonkeyPatch) -> ModuleType:
    """A module of factory.tasks: they read the environment when they are imported."""
    for variable, value in plant.env.items():
        patch.setenv(variable, value)
    load_settings.cache_clear()
    module = importlib.import_module(f"factory.tasks.{name}")
    load_settings.cache_clear()
    return module


def keepers() -> int:
    return sum(thread.name == "lease-keeper" for thread in threading.enumerate())


def test_a_start_that_failed_leaves_nothing_and_the_next_one_works(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    gpu_process = load("gpu_process", plant, monkeypatch)
    port, data, before = free_port(), plant.folder / "unmounted", keepers()
    data.write_text("")
    settings = plant.settings.model_copy(update={"worker_metrics_port": port, "data_dir": data})
    monkeypatch.setattr(gpu_process, "load_settings", lambda: settings)
    monkeypatch.setenv("FACTORY_ROLE", "gpu")
    monkeypatch.setattr(gpu_process, "_worker", None)
    for _ in range(2):
        with pytest.raises(StorageDown):
            gpu_process.start()
    assert keepers() == before
    data.unlink()
    gpu_process.start()
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as page:
            assert b"factory_worker_ready" in page.read()
    finally:
        gpu_process.stop()


def test_a_watchdog_that_slept_does_not_count_the_night(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    watchdog = load("watchdog", plant, monkeypatch).Watchdog(plant.redis, "night", patience=0.3)
    plant.redis.rpush("night", "a message")
    assert not watchdog.looks_wedged()
    time.sleep(0.5)
    assert not watchdog.looks_wedged(), "one look after the night"
    assert [watchdog.looks_wedged() for _ in range(3)][-1]
    watchdog.received()
    assert not watchdog.looks_wedged()


def test_an_unacknowledged_entry_that_is_no_message_does_not_stop_the_others(plant: Plant) -> None:
    safe_qos.install()
    plant.redis.hset("unacked", mapping={"poison": "garbage", "null": "null", "good": json.dumps([{"body": ""}, "", "restored"])})
    plant.redis.zadd("unacked_index", {"poison": 3, "null": 2, "good": 1})
    with Connection(plant.valkey.url) as connection:
        connection.default_channel.qos.restore_visible(num=10)
    assert plant.redis.llen("restored") == 1
    assert (plant.redis.hlen("unacked"), plant.redis.zcard("unacked_index")) == (0, 0)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("2026-11-21T10:00:00+00:00:01", "2026-11-21T09:59:59+00:00"),
        ("2026-11-21T10:00:00+08:00", "2026-11-21T02:00:00+00:00"),
        ("0001-01-01T00:00:00+14:00", None),
        ("never", None),
    ],
)
def test_until_when_a_message_is_wanted_is_said_in_utc(sent: str, kept: str | None) -> None:
    message = clean({"headers": {"task": "factory.generate", "expires": sent}}, "gpu", {"factory.generate"})
    assert message is not None
    assert message["headers"]["expires"] == kept
