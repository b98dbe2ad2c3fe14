"""A real server with one event loop, and clients that ask for much at once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

JOBS, BATCHES = "/api/v1/jobs", "/api/v1/batches"


@pytest.fixture
def served(app: FastAPI, make_key, tenant) -> Iterator[httpx.Client]:
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        thread = threading.Thread(target=server.run, args=([door],), daemon=True)
        thread.start()
        address = f"http://127.0.0.1:{door.getsockname()[1]}"
        with httpx.Client(base_url=address, headers={"Authorization": f"Bearer {make_key(tenant)}"}, timeout=100) as client:
            while not server.started:
                time.sleep(0.01)
            yield client
        server.should_exit = True
        thread.join()


def slowest_answer(client: httpx.Client, while_running: threading.Thread) -> float:
    slowest = 0.0
    while while_running.is_alive():
        started = time.monotonic()
        assert client.get("/healthz").status_code == 200
        slowest = max(slowest, time.monotonic() - started)
        time.sleep(0.02)
    return slowest


@pytest.mark.parametrize("kind", ["text/csv", "application/json"])
def test_a_big_order_holds_nobody_up(served, kind):
    """While twenty thousand rows are read, checked and written, the event loop goes on answering."""
    count, answers = 20_000, []
    if kind == "text/csv":
        content = b"sku,prompt\n" + b"".join(b"S%d,a red mug number %d\n" % (n, n) for n in range(count))
    else:
        content = b"[" + b",".join(b'{"sku": "S%d", "prompt": "a red mug number %d"}' % (n, n) for n in range(count)) + b"]"
    order = threading.Thread(target=lambda: answers.append(served.post(BATCHES, content=content, headers={"Content-Type": kind})))
    started = time.monotonic()
    order.start()
    slowest = slowest_answer(served, order)
    took = time.monotonic() - started
    assert (answers[0].status_code, answers[0].json()["total"]) == (202, count)
    served.post(answers[0].json()["links"]["cancel"].replace("http://testserver", ""))
    assert slowest < max(1.5, took / 3)  # on the loop itself it would be all of its two seconds or more


def test_many_who_wait_leave_room_for_others(served):
    job = served.post(JOBS, json={"prompt": "a"}).json()
    with ThreadPoolExecutor(60) as threads:
        waiting = [threads.submit(served.get, f"{JOBS}/{job['id']}", params={"wait": 30}) for _ in range(60)]
        time.sleep(0.5)
        started = time.monotonic()
        assert served.post(f"{JOBS}/{job['id']}/cancel").status_code == 200
        assert time.monotonic() - started < 10  # long before the waits of the others end
        assert {answer.result().json()["status"] for answer in waiting} == {"canceled"}


def test_a_stream_without_a_length_ends_at_the_limit(served):
    def pieces() -> Iterator[bytes]:
        for _ in range(60):
            yield b"x" * 1024 * 1024

    try:
        answer = served.post(BATCHES, content=pieces(), headers={"Content-Type": "text/csv"})
    except (httpx.WriteError, httpx.ReadError):  # the server closed the door before all of it was sent
        return
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
