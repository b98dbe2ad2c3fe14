"""One order, sent ten times at once: one batch, one answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import httpx
import pytest

from tests.e2e.line import Line
from tests.integration.queue.plant import until

TIMES = 10
ROWS = [{"prompt": f"a kettle, 一把水壶 {n}", "sku": f"SKU-{n}", "seed": n} for n in range(200)]


@pytest.fixture(scope="module")
def line(build_line) -> Line:
    line: Line = build_line()
    line.hire("api", "--port", str(line.port))
    until(line.answers, 150, "the API answers")
    return line


def send(line: Line, key: str, project: str, rows: list[dict[str, object]] = ROWS) -> httpx.Response:
    return line.client.post("/api/v1/batches", params={"project": project}, headers={"Idempotency-Key": key}, json=rows)


def send_at_once(line: Line, key: str, project: str) -> list[httpx.Response]:
    together = Barrier(TIMES)

    def one(_: int) -> httpx.Response:
        together.wait(60)
        return send(line, key, project)

    with ThreadPoolExecutor(TIMES) as pool:
        return list(pool.map(one, range(TIMES)))


@pytest.mark.parametrize("turn", range(3))
def test_ten_orders_with_one_key_are_one_batch(line: Line, turn: int) -> None:
    key, project = f"order-{turn}", f"spring-{turn}"
    answers = send_at_once(line, key, project)
    told = [answer for answer in answers if answer.status_code in (200, 202)]
    busy = [answer for answer in answers if answer.status_code == 409]
    assert told
    assert len(told) + len(busy) == TIMES, [answer.status_code for answer in answers]
    assert all(answer.json() == told[0].json() for answer in told)
    assert {answer.json()["code"] for answer in busy} <= {"request_in_flight"}

    for _ in range(max(1, len(busy))):
        again = send(line, key, project)
        assert (again.status_code, again.json()) == (told[0].status_code, told[0].json())

    found = line.rows("SELECT id, rows_accepted FROM batches WHERE project = %s", project)
    assert [(str(row["id"]), row["rows_accepted"]) for row in found] == [(told[0].json()["id"], len(ROWS))]
    assert line.rows("SELECT count(*) AS n FROM jobs WHERE batch_id = %s", found[0]["id"])[0]["n"] == len(ROWS)
    actions = line.rows("SELECT action, count(*) AS n FROM audit_events WHERE batch_id = %s GROUP BY action", found[0]["id"])
    assert {row["action"]: row["n"] for row in actions} == {"batch.submitted": 1, "job.submitted": len(ROWS)}


def test_the_same_key_with_another_order_is_refused(line: Line) -> None:
    assert send(line, "used", "summer").status_code == 202
    other = send(line, "used", "summer", [{**ROWS[0], "seed": 99}])
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(line.rows("SELECT 1 FROM batches WHERE project = 'summer'")) == 1
