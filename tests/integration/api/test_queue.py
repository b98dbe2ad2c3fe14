"""Why a job waits, over HTTP; lanes and allowances, for the house's own keys only."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from factory.domain.api_key import Scope

JOBS, QUEUE, ALLOWANCES = "/api/v1/jobs", "/api/v1/queue", "/api/v1/allowances"
HOUSE = "factory"


@pytest.fixture
def house(client_of):
    """An operator of the factory; whatever a test closes is open again afterwards."""
    client = client_of(HOUSE)
    yield client
    for lane in ("interactive", "bulk", "offpeak"):
        client.post(f"{QUEUE}/{lane}/resume")


def with_scopes(app, make_key, tenant, *scopes):
    return TestClient(app, headers={"Authorization": f"Bearer {make_key(tenant, *scopes)}"}, raise_server_exceptions=False)


def test_a_job_says_why_it_waits(client):
    job = client.put(f"{JOBS}/mine", json={"prompt": "a"}).json()
    for name in (job["id"], "mine"):
        found = client.get(f"{JOBS}/{name}/explain").json()
        assert (found["object"], found["job_id"], found["status"], found["lane"]) == ("explanation", job["id"], "queued", "interactive")
        assert found["position"] >= 1
        assert found["reasons"]
        assert {"code", "message", "change"} == set(found["reasons"][0])
    client.post(f"{JOBS}/mine/cancel")
    ended = client.get(f"{JOBS}/mine/explain").json()
    assert (ended["position"], ended["reasons"][0]["code"]) == (None, "ended")


def test_another_tenants_job_does_not_exist(client, client_of):
    job = client.post(JOBS, json={"prompt": "a secret plan"}).json()
    answer = client_of("nosy").get(f"{JOBS}/{job['id']}/explain")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert client.get(f"{JOBS}/no-such/explain").status_code == 404


def test_each_door_asks_for_its_scope(app, make_key, client, tenant):
    job = client.post(JOBS, json={"prompt": "a"}).json()
    writer, reader = (with_scopes(app, make_key, tenant, scope) for scope in (Scope.JOBS_WRITE, Scope.JOBS_READ))
    assert reader.get(f"{JOBS}/{job['id']}/explain").status_code == 200
    assert writer.get(f"{JOBS}/{job['id']}/explain").status_code == 403
    house_reader = with_scopes(app, make_key, HOUSE, Scope.JOBS_READ)
    for asking in (house_reader, client):  # without the scope, and with it but of a customer
        for method, address in (
            ("GET", QUEUE),
            ("POST", f"{QUEUE}/bulk/pause"),
            ("POST", f"{QUEUE}/bulk/resume"),
            ("GET", f"{ALLOWANCES}/{tenant}"),
            ("PUT", f"{ALLOWANCES}/{tenant}"),
            ("PUT", f"{ALLOWANCES}/{tenant}/ana"),
        ):
            answer = asking.request(method, address, json={} if method == "PUT" else None)
            assert (answer.status_code, answer.json()["code"]) == (403, "forbidden"), f"{method} {address}"


def test_lanes_are_closed_and_opened(house, client, bell):
    first = house.post(f"{QUEUE}/bulk/pause").json()
    assert (first["lane"], first["paused"], first["changed"]) == ("bulk", True, True)
    assert house.post(f"{QUEUE}/bulk/pause").json()["changed"] is False
    job = client.post(JOBS, json={"prompt": "a", "priority": "bulk"}).json()
    reasons = client.get(f"{JOBS}/{job['id']}/explain").json()["reasons"]
    assert reasons[0]["code"] == "lane_paused"
    seen = house.get(QUEUE).json()
    lanes = {lane["lane"]: lane for lane in seen["lanes"]}
    assert (seen["paused"], lanes["bulk"]["paused"], lanes["interactive"]["paused"]) == (False, True, False)
    assert lanes["bulk"]["waiting"] >= 1
    rung = bell.rung
    assert house.post(f"{QUEUE}/bulk/resume").json()["changed"] is True
    assert bell.rung > rung
    assert house.post(f"{QUEUE}/night/pause").status_code == 422


def test_allowances_are_set_whole_and_read_back(house, client, tenant):
    assert house.get(f"{ALLOWANCES}/{tenant}").json() == {
        "object": "allowance",
        "tenant": tenant,
        "user": None,
        "weight": 1,
        "max_running": None,
        "max_queued": None,
        "users": [],
    }
    assert house.put(f"{ALLOWANCES}/{tenant}", json={"weight": 2, "max_running": 0}).json()["max_running"] == 0
    mine = house.put(f"{ALLOWANCES}/{tenant}/安娜/team 1", json={"max_queued": 3}).json()
    assert (mine["user"], mine["max_queued"]) == ("安娜/team 1", 3)
    assert house.get(f"{ALLOWANCES}/{tenant}/安娜/team 1").json() == mine
    assert [user["user"] for user in house.get(f"{ALLOWANCES}/{tenant}").json()["users"]] == ["安娜/team 1"]
    job = client.post(JOBS, json={"prompt": "a"}).json()
    held = client.get(f"{JOBS}/{job['id']}/explain").json()
    assert (held["hold"], held["position"], held["reasons"][0]["code"]) == ("capped", None, "capped")
    house.put(f"{ALLOWANCES}/{tenant}", json={})
    assert client.get(f"{JOBS}/{job['id']}/explain").json()["hold"] is None


@pytest.mark.parametrize(
    "sent", [{"weight": 0}, {"weight": 1e-300}, {"weight": 1e9}, {"max_running": -1}, {"max_queued": "many"}, {"colour": "red"}, []]
)
def test_a_strange_allowance(house, tenant, client, sent):
    answer = house.put(f"{ALLOWANCES}/{tenant}", json=sent)
    assert answer.status_code == 422
    assert answer.json()["errors"]


def test_no_allowance_for_nobody(house):
    for method, sent in (("GET", None), ("PUT", {})):
        assert house.request(method, f"{ALLOWANCES}/nobody-at-all", json=sent).status_code == 404


def test_a_full_queue_is_429_with_the_time_to_come_back(house, client, tenant):
    house.put(f"{ALLOWANCES}/{tenant}", json={"max_queued": 2})
    for seed in range(2):
        assert client.post(JOBS, json={"prompt": "a", "seed": seed}).status_code == 202
    full = client.post(JOBS, json={"prompt": "a", "seed": 3})
    problem = full.json()
    assert (full.status_code, problem["code"], problem["retryable"]) == (429, "queue_full", True)
    assert full.headers["content-type"] == "application/problem+json"
    assert 1 <= int(full.headers["retry-after"]) <= 60
    assert full.headers["ratelimit-policy"] == '"queued-jobs";q=2'
    assert full.headers["ratelimit"].startswith('"queued-jobs";r=0;t=')
    assert len(client.get(JOBS).json()["data"]) == 2
    house.put(f"{ALLOWANCES}/{tenant}", json={"max_queued": 0})
    assert client.post(JOBS, json={"prompt": "a", "seed": 4}).headers["x-should-retry"] == "false"


def test_a_batch_is_taken_as_far_as_it_fits(house, client, db, tenant):
    house.put(f"{ALLOWANCES}/{tenant}", json={"max_queued": 3})
    taken = client.post("/api/v1/batches", json=[{"prompt": "a", "seed": n} for n in range(5)])
    batch = taken.json()
    assert (taken.status_code, batch["rows_accepted"], batch["rows_refused"], batch["next_row"]) == (202, 3, 2, 4)
    assert [(error["row"], error["code"]) for error in batch["row_errors"]] == [(4, "queue_full"), (5, "queue_full")]
    again = client.post("/api/v1/batches", json=[{"prompt": "a", "seed": n} for n in (3, 4)])
    assert (again.status_code, again.json()["code"]) == (429, "queue_full")
    with db.transaction() as session:
        assert session.execute(text("SELECT count(*) FROM jobs WHERE tenant = :tenant"), {"tenant": tenant}).scalar() == 3
