"""An HTTP door under measurement: what is sent to it, and what is seen of its process meanwhile."""

import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

HOST = "127.0.0.1"
JSON, NDJSON = "application/json", "application/x-ndjson"


@dataclass
class Door:
    """One side's HTTP server. `store` is the process behind it, `headers` and `counted` belong to one order of a tenant of its own."""

    side: str
    kind: str
    port: int
    pid: int
    store: int
    path: str
    headers: Callable[[], dict[str, str]]
    counted: Callable[[], int]
    later: bool = False  # the rows are read after the answer


def body_of(folder: Path, count: int, kind: str) -> Path:
    """About 360 bytes a row, as marketing systems send them."""
    path = folder / f"order-{count}{'.json' if kind == JSON else '.ndjson'}"
    with path.open("wb") as file:
        first, between, last = (b"[", b",\n", b"]") if kind == JSON else (b"", b"\n", b"\n")
        for number in range(count):
            row = {
                "sku": f"SKU-{number:06d}",
                "external_id": f"erp-{number:06d}",
                "prompt": f"白色背景上的保温杯，第 {number} 款，柔和的自然光，电商主图 a vacuum flask on white, soft daylight, product photo",
                "width": 1024,
                "height": 1024,
                "campaign": "spring-launch",
                "tags": ["flask", "white"],
                "metadata": {"shop": "一号店", "shelf": str(number % 97)},
            }
            file.write((between if number else first) + json.dumps(row, ensure_ascii=False).encode())
        file.write(last)
    return path


def post(door: Door, body: Path) -> float:
    """Seconds until the whole answer is here."""
    connection = http.client.HTTPConnection(HOST, door.port, timeout=600, blocksize=64 * 1024)
    headers = {"Content-Type": door.kind, "Content-Length": str(body.stat().st_size), **door.headers()}
    began = time.perf_counter()
    with body.open("rb") as content:
        connection.request("POST", door.path, body=content, headers=headers)
        answer = connection.getresponse()
        said = answer.read()
    seconds = time.perf_counter() - began
    if answer.status != 202:
        raise RuntimeError(f"{door.side} answered {answer.status}: {said[:300]!r}")
    return seconds


def resident(pid: int) -> int:
    process = psutil.Process(pid)
    return sum(member.memory_info().rss for member in [process, *process.children(recursive=True)])


@contextmanager
def watched(pid: int) -> Iterator[list[int]]:
    """The most bytes resident so far, as the only item."""
    most, over = [resident(pid)], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            most[0] = max(most[0], resident(pid))

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield most
    finally:
        over.set()
        thread.join()


@contextmanager
def probed(port: int) -> Iterator[dict[str, float]]:
    """Asks from a process of its own, so that this one's work delays nobody."""
    found: dict[str, float] = {}
    command = [sys.executable, "-m", "bench.probe", HOST, str(port)]
    probe = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    time.sleep(0.5)
    try:
        yield found
    finally:
        said, _ = probe.communicate("\n", timeout=150)
        found.update(json.loads(said))


def wait_until_open(port: int) -> None:
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        try:
            connection = http.client.HTTPConnection(HOST, port, timeout=5)
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("a server did not open in a minute")
