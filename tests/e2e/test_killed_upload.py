"""The API is killed while it takes an order of fifty thousand rows: afterwards there is all of it or nothing, and sent again there is one.

So it is with an order that was answered before its rows were read: whoever reads it may be killed too."""

from __future__ import annotations

import json
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterator

import httpx
import pytest

from factory.embedded.guarded import Guarded
from tests.e2e.line import Line
from tests.integration.queue.plant import until

pytestmark = pytest.mark.timeout(600)

ROWS = int(os.environ.get("FACTORY_TEST_UPLOAD_ROWS", "8000"))  # `make drill` sends 50 000
PIECE = 500
AT_WORK = "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE %s"
# What the database is at, and how long it is left to it.
STAGES = {"COPY": ("COPY jobs%", 0.2), "events": ("INSERT INTO audit_events%", 0.0)}


@pytest.fixture(scope="module")
def line(build_line: Callable[..., Line]) -> Line:
    return build_line(FACTORY_DEFAULT_MAX_QUEUED=str(20 * ROWS))  # nothing is drawn here, so all of them wait


@pytest.fixture(scope="module")
def api(line: Line) -> Iterator[Callable[[], Guarded]]:
    """Opens the API on the line's port, anew after each kill; one that lives serves the next test too."""
    hired: list[Guarded] = []

    def open_api() -> Guarded:
        if not hired or not hired[-1].alive():
            hired.append(line.hire("api", "--port", str(line.port), name=f"api-{uuid.uuid4().hex[:6]}"))
        until(line.answers, 150, "the API answers")
        return hired[-1]

    yield open_api
    for each in hired:
        each.stop()


def order(line: Line, project: str, body: Iterator[bytes], prefer: str = "") -> httpx.Response | None:
    """None when the connection broke."""
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": f"key-{project}"} | ({"Prefer": prefer} if prefer else {})
    try:
        with httpx.Client(base_url=line.client.base_url, headers=line.client.headers, timeout=110, trust_env=False) as client:
            return client.post("/api/v1/batches", params={"project": project}, headers=headers, content=body)
    except httpx.TransportError:
        return None


def piece(project: str, at: int) -> bytes:
    rows = (
        {"prompt": f"a kettle, 一把水壶 {n}", "sku": f"SKU-{n}", "external_id": f"{project}-{n}", "width": 64, "height": 64}
        for n in range(at, at + PIECE)
    )
    return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in rows)


def whole(project: str) -> Iterator[bytes]:
    return (piece(project, at) for at in range(0, ROWS, PIECE))


def halves(project: str, half_sent: threading.Event, go_on: threading.Event) -> Iterator[bytes]:
    for at in range(0, ROWS, PIECE):
        if at == ROWS // 2:
            half_sent.set()
            go_on.wait(100)
        yield piece(project, at)


def taken(line: Line, project: str) -> tuple[int, int, int]:
    """Batches, jobs and events of jobs, as they are committed."""
    batches = line.rows("SELECT id FROM batches WHERE project = %s", project)
    jobs = line.rows("SELECT count(*) AS n FROM jobs WHERE project = %s", project)[0]["n"]
    events = line.rows(
        "SELECT count(*) AS n FROM audit_events WHERE action = 'job.submitted' AND batch_id = ANY(%s)", [row["id"] for row in batches]
    )
    return len(batches), jobs, events[0]["n"]


def settled(line: Line) -> bool:
    """Postgres has noticed that its client is gone."""
    return not line.rows("SELECT 1 FROM pg_stat_activity WHERE usename = 'factory_app' AND state <> 'idle' AND pid <> pg_backend_pid()")


def goes_on_to_one_whole_order(line: Line, project: str) -> None:
    again = order(line, project, whole(project))
    assert again is not None
    assert again.status_code in (200, 202), again.text[:500]
    assert (again.json()["rows_accepted"], again.json()["rows_refused"]) == (ROWS, 0)
    assert taken(line, project) == (1, ROWS, ROWS)
    once_more = order(line, project, whole(project))
    assert once_more is not None
    assert once_more.json()["id"] == again.json()["id"]
    assert taken(line, project) == (1, ROWS, ROWS)


def killed_half_way(line: Line, server: Guarded, project: str, prefer: str = "") -> None:
    """Kill the API when half of the file has been sent; nobody gets an answer."""
    half_sent, go_on = threading.Event(), threading.Event()
    answers: list[httpx.Response | None] = []
    sender = threading.Thread(target=lambda: answers.append(order(line, project, halves(project, half_sent, go_on), prefer)))
    sender.start()
    assert half_sent.wait(60)
    server.kill()
    go_on.set()
    sender.join(60)
    assert answers == [None]


def test_killed_while_the_file_comes_in(line: Line, api: Callable[[], Guarded]) -> None:
    killed_half_way(line, api(), "half")
    assert taken(line, "half") == (0, 0, 0)
    api()
    goes_on_to_one_whole_order(line, "half")


def killed_at(line: Line, server: Guarded, stage: str, project: str) -> bool:
    """Order, and kill the API while the database is at `stage`. False when the order was quicker: then it is whole."""
    statement, pause = STAGES[stage]
    answers: list[httpx.Response | None] = []
    sender = threading.Thread(target=lambda: answers.append(order(line, project, whole(project))))
    sender.start()
    until(lambda: bool(answers or line.rows(AT_WORK, statement)), 110, f"the database is at {stage}")
    assert answers != [None], "the connection broke before the kill"
    time.sleep(pause)
    server.kill()
    sender.join(60)
    until(lambda: settled(line), 60, "the transaction has ended")
    after = taken(line, project)
    assert after in {(0, 0, 0), (1, ROWS, ROWS)}, "half an order"
    assert len(answers) == 1, "the sender hangs"
    if (answer := answers[0]) is not None:
        assert answer.status_code == 202, answer.text[:500]
        assert after == (1, ROWS, ROWS)
    return answer is None


@pytest.mark.parametrize("stage", ["COPY", pytest.param("events", marks=pytest.mark.drill)])
def test_killed_while_the_rows_are_written(line: Line, api: Callable[[], Guarded], stage: str) -> None:
    tries = (f"{stage}-{number}" for number in range(5))
    project = next((name for name in tries if killed_at(line, api(), stage, name)), None)
    assert project, "every order was answered before its API was killed"
    api()
    goes_on_to_one_whole_order(line, project)


@pytest.mark.drill
def test_killed_after_the_commit_the_answer_is_there_for_the_asking(line: Line, api: Callable[[], Guarded]) -> None:
    """The client never heard of its order, which is whole: asked again with its key it gets that one."""
    server = api()
    answers: list[httpx.Response | None] = []
    sender = threading.Thread(target=lambda: answers.append(order(line, "late", whole("late"))))
    sender.start()
    until(lambda: taken(line, "late")[0] == 1, 100, "the order is committed")
    server.kill()
    sender.join(60)
    assert taken(line, "late") == (1, ROWS, ROWS)
    api()
    goes_on_to_one_whole_order(line, "late")


def received(line: Line, project: str) -> httpx.Response:
    answer = order(line, project, whole(project), "respond-async")
    assert answer is not None
    assert (answer.status_code, answer.json()["status"]) == (202, "reading")
    return answer


def test_whoever_reads_a_received_order_is_killed_and_another_one_reads_it(line: Line, api: Callable[[], Guarded]) -> None:
    api()
    received(line, "read")
    reader = line.hire("worker", "cpu", name="reader-1")
    line.hire("beat", name="clock")
    until(lambda: bool(line.rows(AT_WORK, STAGES["COPY"][0])), 110, "the rows are written")
    reader.kill_all()
    until(lambda: settled(line), 60, "the transaction has ended")
    assert taken(line, "read") == (1, 0, 0)
    line.sql.execute("UPDATE unread_orders SET lease_until = now()")  # a minute later
    line.hire("worker", "cpu", name="reader-2")
    until(lambda: taken(line, "read") == (1, ROWS, ROWS), 110, "the order is read")
    batch = line.client.get("/api/v1/batches", params={"project": "read"}).json()["data"][0]
    assert (batch["status"], batch["rows_accepted"], batch["rows_refused"]) == ("queued", ROWS, 0)
    assert not line.rows("SELECT 1 FROM unread_parts")


def test_killed_while_it_receives_there_is_no_order(line: Line, api: Callable[[], Guarded]) -> None:
    killed_half_way(line, api(), "cut", "respond-async")
    assert not line.rows("SELECT 1 FROM batches WHERE project = 'cut' UNION ALL SELECT 1 FROM unread_orders")
    api()
    received(line, "cut")
