"""What the reply to an order says of time and room: whether its deadline is likely to be kept, when it ends, what may still be queued."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from factory.db import Database
from factory.domain.speed import Speed
from factory.jobs.worker_presence import Sign, leave, show_presence
from tests.integration.api.ending import deliver_one
from tests.integration.api.finishing import finish_all

JOBS, BATCHES, QUOTES = "/api/v1/jobs", "/api/v1/batches", "/api/v1/quotes"
FAR, NEAR, GONE = "2099-01-01T00:00:00Z", "+1s", "2020-01-01T00:00:00Z"
ROWS = [{"prompt": f"mug {number}"} for number in range(3)]


def know_speed(db: Database, seconds: float) -> None:
    with db.transaction() as session:
        session.merge(Speed(checkpoint="default", pixels=2**20, seconds=seconds, samples=20, measured_at=datetime.now(UTC)))


@pytest.fixture
def worker(db: Database) -> Iterator[None]:
    """One that is alive and takes a minute for a picture."""
    know_speed(db, 60.0)
    show_presence(db, "w-in-time", Sign([], "", 0))
    yield
    leave(db, "w-in-time")
    know_speed(db, 0.0)  # counts as never measured


def problem(answer) -> tuple[int, str, str]:
    body = answer.json()
    return answer.status_code, body["code"], body["errors"][0]["pointer"]


@pytest.mark.parametrize(("deadline", "kept"), [(FAR, True), (NEAR, False)])
def test_the_reply_says_whether_a_deadline_is_likely_to_be_kept(client, worker, deadline, kept):
    one = client.post(JOBS, json={"prompt": "a", "deadline": deadline})
    assert (one.status_code, one.json()["deadline_kept"]) == (202, kept)
    for sent in ({"json": ROWS, "params": {"deadline": deadline}}, {"json": {"rows": ROWS, "deadline": deadline}}):
        quoted, ordered = client.post(QUOTES, **sent), client.post(BATCHES, **sent)
        assert (ordered.status_code, quoted.json()["deadline_kept"], ordered.json()["deadline_kept"]) == (202, kept, kept)


def test_a_repeat_is_told_the_same(client, worker):
    for to, body in ((JOBS, {"prompt": "a", "deadline": FAR}), (BATCHES, {"rows": ROWS, "deadline": FAR})):
        first, again = (client.post(to, json=body, headers={"Idempotency-Key": to}) for _ in range(2))
        assert again.json() == first.json()
        assert again.json()["deadline_kept"] is True


def test_nothing_is_said_without_a_deadline_or_without_a_worker(client):
    assert "deadline_kept" not in client.post(JOBS, json={"prompt": "a"}).json()
    assert client.post(JOBS, json={"prompt": "a", "deadline": FAR}).json()["deadline_kept"] is None
    assert client.post(BATCHES, json=ROWS).json()["deadline_kept"] is None
    assert client.post(BATCHES, json=ROWS, params={"deadline": FAR}).json()["deadline_kept"] is None


@pytest.mark.parametrize(("deadline", "kept"), [(FAR, True), (GONE, False)])
def test_a_batch_says_it_from_its_pace_while_it_runs(client, db, app, tenant, deadline, kept):
    batch = client.post(BATCHES, json=ROWS, params={"deadline": deadline}).json()
    deliver_one(db, app.state.storage, tenant)
    found = client.get(batch["links"]["self"]).json()
    assert (found["status"], found["finish"] is None, found["deadline_kept"]) == ("running", False, kept)
    finish_all(db, app.state.storage, tenant)
    done = client.get(batch["links"]["self"]).json()
    assert (done["status"], done["deadline_kept"]) == ("completed", None)


def test_the_reply_says_how_much_more_may_be_queued(client, client_of, tenant, worker):
    client_of("factory").put(f"/api/v1/allowances/{tenant}", json={"max_queued": 6})
    said = []
    sent: list[tuple[str, Any]] = [(JOBS, {"prompt": "a"}), (BATCHES, [*ROWS[:2], {"prompt": "毒品"}]), (BATCHES, ROWS[:2])]
    for to, body in sent:
        answer = client.post(to, json=body)
        assert (answer.status_code, answer.headers["ratelimit-policy"]) == (202, '"queued-jobs";q=6')
        said.append(answer.headers["ratelimit"])
    assert said == ['"queued-jobs";r=5', '"queued-jobs";r=3', '"queued-jobs";r=1']
    cut = client.post(BATCHES, json=ROWS, params={"deadline": NEAR})
    assert (cut.status_code, cut.json()["next_row"], cut.headers["ratelimit"]) == (202, 2, '"queued-jobs";r=0')
    assert cut.json()["deadline_kept"] is None, "a part may be done when all of it would not"


def test_an_end_is_said_for_all_rows_and_by_some_themselves(client):
    rows = [{"prompt": "a"}, {"prompt": "b", "expires_at": "2098-01-01T00:00:00Z"}, {"prompt": "c", "expires_at": GONE}]
    batch = client.post(BATCHES, json=rows, params={"expires_at": FAR}).json()
    assert [(error["row"], error["code"], error["pointer"]) for error in batch["row_errors"]] == [(3, "invalid_value", "/expires_at")]
    jobs = client.get(batch["links"]["jobs"]).json()["data"]
    assert {job["row"]: datetime.fromisoformat(job["expires_at"]).astimezone(UTC).year for job in jobs} == {1: 2099, 2: 2098}


def test_an_end_that_has_passed_or_is_said_twice_is_refused(client):
    assert problem(client.post(JOBS, json={"prompt": "a", "expires_at": GONE})) == (422, "invalid_value", "/expires_at")
    assert problem(client.post(BATCHES, json=ROWS, params={"expires_at": GONE})) == (422, "invalid_value", "/expires_at")
    assert problem(client.post(JOBS, json={"prompt": "a", "expires_at": FAR, "expires_in": 60})) == (422, "invalid_value", "")
    assert problem(client.post(BATCHES, json={"rows": ROWS, "expires_at": FAR, "expires_in": 60})) == (422, "invalid_value", "")
    assert client.get(JOBS).json()["data"] == client.get(BATCHES).json()["data"] == []


def test_the_reference_describes_them(client):
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    fields = paths[JOBS]["post"]["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert all(fields[name]["description"] for name in ("deadline", "expires_at", "expires_in"))
    assert all("deadline_kept" in paths[path]["post"]["description"] for path in (JOBS, BATCHES))


def test_an_end_before_the_beginning_is_refused_where_it_is_said(client):
    late = {"not_before": "+2h", "expires_in": 60}
    assert problem(client.post(JOBS, json={"prompt": "a", **late})) == (422, "invalid_value", "/not_before")
    for to in (BATCHES, QUOTES):
        assert problem(client.post(to, json=ROWS, params=late)) == (422, "invalid_value", "/not_before")
        assert problem(client.post(to, json={"rows": ROWS, **late})) == (422, "invalid_value", "/not_before")
    assert client.get(JOBS).json()["data"] == client.get(BATCHES).json()["data"] == []
    rows = [{"prompt": "a"}, {"prompt": "b", "expires_in": 60}, {"prompt": "c", "not_before": "+1s", "expires_in": 60}]
    batch = client.post(BATCHES, json={"rows": rows, "not_before": "+2h"}).json()
    assert [(error["row"], error["code"], error["pointer"]) for error in batch["row_errors"]] == [(2, "invalid_value", "/expires_in")]
    assert "`not_before` of the whole order" in batch["row_errors"][0]["detail"]


def test_a_deadline_before_the_beginning_is_a_warning(client):
    times = {"not_before": "+2h", "deadline": "+1h"}
    sent: list[tuple[str, Any]] = [(JOBS, {"prompt": "a", **times}), (BATCHES, {"rows": ROWS, **times}), (QUOTES, {"rows": ROWS, **times})]
    for to, body in sent:
        assert [found["code"] for found in client.post(to, json=body).json()["warnings"]] == ["deadline_before_start"]


def test_what_waits_already_is_not_taken_as_done(client, worker):
    rows = [{"prompt": "mug", "seed": 1}]
    client.post(BATCHES, json=rows)
    again = {"json": rows, "params": {"deadline": NEAR}}
    assert [client.post(to, **again).json()["deadline_kept"] for to in (QUOTES, BATCHES)] == [False, False]
