"""The web process as it is deployed: settings from the environment, a real broker behind the bell."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from typing import Any

import httpx
import pytest
import redis

from factory.embedded.valkey import Valkey
from factory.settings import Settings


@pytest.fixture
def address(settings: Settings, valkey: Valkey):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "FACTORY_DATABASE_URL": settings.database_url.get_secret_value(),
        "FACTORY_REDIS_URL": valkey.url,
        "FACTORY_STORAGE_URL": settings.storage_url,
        "FACTORY_LINK_SECRET": settings.link_secret.get_secret_value(),
    }
    command = [sys.executable, "-m", "uvicorn", "factory.asgi:app", "--port", str(port), "--no-access-log"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    _, logged = process.communicate(timeout=60)
    assert "Application shutdown complete" in logged


def seen(client: httpx.Client) -> dict[str, Any]:
    try:
        health: dict[str, Any] = client.get("/api/v1/health").json()
    except httpx.ConnectError:
        return {}
    return health


def test_an_order_reaches_the_queue(address, make_key, valkey, tenant):
    with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {make_key(tenant)}"}, timeout=30) as client:
        end = time.monotonic() + 120
        while (health := seen(client)).get("status") != "ok":  # each part has two seconds, which a busy machine may not keep at first
            assert time.monotonic() < end, health
            time.sleep(0.1)
        assert client.get("/readyz").status_code == 200
        assert client.post("/api/v1/jobs", json={"prompt": "a"}).status_code == 202
        broker = redis.Redis.from_url(valkey.url)
        while not broker.llen("gpu"):
            assert time.monotonic() < end
            time.sleep(0.05)
