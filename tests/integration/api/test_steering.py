"""Pausing, reprioritising and retrying over HTTP."""

from __future__ import annotations

import pytest

from tests.integration.api.ending import deliver_one, fail_one

BATCHES = "/api/v1/batches"
ROWS = [{"prompt": "a red mug", "sku": "A-1", "external_id": "row-1"}, {"prompt": "蓝色杯子", "sku": "A-2"}]


@pytest.fixture
def storage(app):
    return app.state.storage


@pytest.fixture
def batch(client):
    return client.post(BATCHES, params={"external_id": "order-1"}, json=ROWS).json()


def steer(client, batch, action, **send):
    return client.post(f"{BATCHES}/{batch['id']}/{action}", **send)


def problem(answer):
    return answer.status_code, answer.json()["code"]


def test_pause_and_resume_say_how_things_stand(client, bell, batch):
    paused = steer(client, batch, "pause")
    assert (paused.status_code, paused.json()["status"], paused.json()["held"]) == (200, "paused", 2)
    assert client.get(f"{BATCHES}/order-1").json()["status"] == "paused"
    assert steer(client, batch, "pause").json()["held"] == 0
    before = bell.rung
    resumed = client.post(f"{BATCHES}/order-1/resume").json()
    assert (resumed["status"], resumed["released"], bell.rung - before) == ("queued", 2, 2)
    actions = [event["action"] for event in client.get(f"{BATCHES}/{batch['id']}/events").json()["data"]]
    assert actions[:2] == ["batch.resumed", "batch.paused"]


def test_pausing_a_batch_that_has_ended_does_nothing(client, db, storage, tenant, batch):
    for _ in ROWS:
        deliver_one(db, storage, tenant)
    answer = steer(client, batch, "pause")
    assert (answer.status_code, answer.json()["status"], answer.json()["held"]) == (200, "completed", 0)


def test_a_priority_moves_what_waits(client, batch):
    answer = steer(client, batch, "priority", json={"priority": "interactive"})
    assert (answer.status_code, answer.json()["changed"]) == (200, 2)
    jobs = client.get(f"{BATCHES}/{batch['id']}/jobs").json()["data"]
    one = client.post(f"/api/v1/jobs/{jobs[0]['id']}/priority", json={"priority": "offpeak"}).json()
    assert (one["id"], one["changed"]) == (jobs[0]["id"], 1)
    assert client.post("/api/v1/jobs/row-1/priority", json={"priority": "interactive"}).json()["changed"] == 0


@pytest.mark.parametrize(
    ("body", "expected", "pointer"),
    [
        ({"priority": "urgent"}, (422, "invalid_value"), "/priority"),
        ({}, (422, "field_missing"), "/priority"),
        ({"priority": "bulk", "more": 1}, (422, "unknown_field"), "/more"),
        ([1], (422, "wrong_type"), ""),
    ],
)
def test_a_priority_that_is_none(client, batch, body, expected, pointer):
    for path in (f"{BATCHES}/{batch['id']}/priority", "/api/v1/jobs/row-1/priority"):
        answer = client.post(path, json=body)
        assert problem(answer) == expected
        assert answer.json()["errors"][0]["pointer"] == pointer
    assert problem(client.post(f"{BATCHES}/{batch['id']}/priority", content=b"{oops")) == (400, "malformed_json")


def test_retry_orders_anew_what_failed(client, bell, db, storage, tenant, batch):
    failed = fail_one(db, storage, tenant)
    deliver_one(db, storage, tenant)
    before = bell.rung
    answer = steer(client, batch, "retry", json={"changes": {"seed": 11, "prompt": "a green mug"}})
    body = answer.json()
    assert (answer.status_code, body["retried"], body["refused"], bell.rung - before) == (202, 1, 0, 1)
    assert (body["status"], body["counts"]["succeeded"], body["counts"]["queued"], body["counts"]["failed"]) == ("running", 1, 1, 0)
    chain = client.get(f"/api/v1/jobs/{failed.job_id}/lineage").json()["data"]
    assert [(job["superseded"], job["retry_of"]) for job in chain] == [(True, None), (False, str(failed.job_id))]
    fresh = client.get(f"/api/v1/jobs/{chain[1]['id']}").json()
    assert (fresh["effective"]["seed"], fresh["effective"]["prompt"], fresh["row"]) == (11, "a green mug", 1)
    if fresh["sku"] == "A-1":
        assert client.get("/api/v1/jobs/row-1").json()["id"] == fresh["id"]
    again = steer(client, batch, "retry")
    assert (again.status_code, again.json()["retried"]) == (200, 0)


def test_a_retry_sent_again_with_its_key_is_carried_out_once(client, bell, db, storage, tenant, batch):
    fail_one(db, storage, tenant)
    send = {"headers": {"Idempotency-Key": "retry-1"}, "json": {"statuses": ["failed"]}}
    first, before = steer(client, batch, "retry", **send), bell.rung
    fail_one(db, storage, tenant)
    fail_one(db, storage, tenant)
    second = steer(client, batch, "retry", **send)
    assert (second.status_code, second.json(), bell.rung) == (202, first.json(), before)
    assert second.headers["idempotent-replayed"] == "true"
    assert problem(steer(client, batch, "retry", headers=send["headers"], json={})) == (422, "idempotency_key_reused")


def test_changes_that_no_row_can_take(client, db, storage, tenant, batch):
    fail_one(db, storage, tenant)
    answer = steer(client, batch, "retry", json={"changes": {"width": 17}})
    assert problem(answer) == (422, "no_valid_rows")
    assert [(error["code"], error["pointer"], error["row"]) for error in answer.json()["errors"]] == [
        ("size_out_of_range", "/changes/width", 1)
    ]
    assert problem(steer(client, batch, "retry", json={"changes": {"sku": "B"}})) == (422, "unknown_field")
    assert problem(steer(client, batch, "retry", json={"statuses": ["running"]})) == (422, "invalid_value")
    assert problem(steer(client, batch, "retry", json={"changes": {"prompt": "a\x00"}})) == (422, "invalid_value")
    assert client.get(f"{BATCHES}/{batch['id']}").json()["counts"]["failed"] == 1


def test_nobody_steers_for_another_tenant(client_of, batch):
    neighbour = client_of("t-neighbour-who-steers")
    for action, body in (("pause", None), ("resume", None), ("priority", {"priority": "bulk"}), ("retry", {})):
        assert problem(steer(neighbour, batch, action, json=body)) == (404, "not_found")
    assert problem(neighbour.post("/api/v1/jobs/row-1/priority", json={"priority": "bulk"})) == (404, "not_found")
    assert problem(neighbour.get("/api/v1/jobs/row-1/lineage")) == (404, "not_found")
