"""Lists: cursors that neither skip nor repeat, filters that never pass unnoticed."""

from __future__ import annotations

import pytest

JOBS = "/api/v1/jobs"


def skus(answer):
    return [job["sku"] for job in answer.json()["data"]]


def test_pages_hold_every_job_once_while_new_ones_arrive(client):
    for number in range(5):
        client.post(JOBS, json={"prompt": "a", "sku": f"S{number}"})
    seen, cursor = [], None
    for _ in range(3):
        page = client.get(JOBS, params={"limit": 2, **({"cursor": cursor} if cursor else {})})
        seen += skus(page)
        cursor = page.json()["next_cursor"]
        client.post(JOBS, json={"prompt": "a", "sku": "late"})
    assert seen == ["S4", "S3", "S2", "S1", "S0"]
    assert cursor is None


def test_each_filter_finds_its_jobs(client):
    labels = {
        "campaign": "618",
        "cost_centre": "cc1",
        "user": "li",
        "tags": ["red", "round"],
        "metadata": {"campaign": "double11", "x": "y"},
    }
    client.post(JOBS, json={"prompt": "红色 100% 纯棉", "sku": "S1", "project": "spring", "model": "simulated", **labels})
    client.post(JOBS, json={"prompt": "blue", "sku": "S2"})
    job = client.get(JOBS, params={"sku": "S2"}).json()["data"][0]
    client.post(job["links"]["cancel"])
    for wanted in (
        {"sku": "S1"},
        {"status": "queued"},
        {"model": "simulated"},
        {"project": "spring"},
        {"campaign": "618"},
        {"cost_centre": "cc1"},
        {"user": "li"},
        {"tag": "round"},
        {"metadata.campaign": "double11"},
        {"metadata.campaign": "double11", "metadata.x": "y"},
        {"q": "100%"},
        {"until": "2100-01-01", "sku": "S1"},
    ):
        assert skus(client.get(JOBS, params=wanted)) == ["S1"], wanted
    for strange in (
        {"metadata.campaign": "618"},
        {"q": "100_"},
        {"since": "2100-01-01T00:00:00Z"},
        {"status": "failed"},
        {"dead_letter": "true"},
        {"batch": str(job["id"])},
    ):
        assert skus(client.get(JOBS, params=strange)) == [], strange
    assert skus(client.get(f"{JOBS}?status=queued,canceled")) == ["S2", "S1"]
    assert skus(client.get(f"{JOBS}?status=queued&status=canceled")) == ["S2", "S1"]


@pytest.mark.parametrize(
    "query",
    [
        "stauts=failed",
        "status=done",
        "limit=0",
        "limit=1000",
        "cursor=zzz",
        "cursor=%C3%A9",
        "since=yesterday",
        "batch=7",
        "sku=%00",
        "metadata.%00=x",
    ],
)
def test_a_question_that_cannot_be_answered(client, query):
    answer = client.get(f"{JOBS}?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")


def test_batches_are_found_by_what_is_written_on_them(client):
    head = {"project": "夏季", "campaign": "618", "cost_centre": "cc1", "user": "li", "tags": ["round"], "metadata": {"season": "summer"}}
    client.post("/api/v1/batches", json={**head, "rows": [{"prompt": "a"}]})
    client.post("/api/v1/batches", json={"project": "winter", "rows": [{"prompt": "b"}]})
    for wanted in (
        {"project": "夏季"},
        {"campaign": "618"},
        {"cost_centre": "cc1"},
        {"user": "li"},
        {"tag": "round"},
        {"metadata.season": "summer"},
    ):
        found = client.get("/api/v1/batches", params=wanted).json()["data"]
        assert [one["project"] for one in found] == ["夏季"], wanted
    for strange in ({"campaign": "double11"}, {"since": "2100-01-01"}, {"metadata.season": "winter"}):
        assert client.get("/api/v1/batches", params=strange).json()["data"] == [], strange
    assert client.get("/api/v1/batches", params={"status": "queued"}).status_code == 422


def test_a_cursor_of_another_list_is_refused(client):
    client.post("/api/v1/batches", json=[{"prompt": "a"}, {"prompt": "b"}])
    cursor = client.get(JOBS, params={"limit": 1}).json()["next_cursor"]
    assert client.get("/api/v1/audit/events", params={"cursor": cursor}).json()["code"] == "bad_cursor"


def test_checkpoints(client):
    assert [one["name"] for one in client.get("/api/v1/checkpoints").json()["data"]] == ["default", "simulated"]


def test_dead_letters_are_listed_and_replayed(client, db, bell):
    from datetime import timedelta

    from factory.jobs.claim_job import claim_job
    from factory.jobs.requeue_lost_jobs import requeue_lost_jobs

    job = client.post(JOBS, json={"prompt": "a"}).json()
    while (claim := claim_job(db, worker="w", lease=timedelta(seconds=-1))) and str(claim.job_id) != job["id"]:
        pass
    requeue_lost_jobs(db, max_lost_leases=1)
    (dead,) = client.get("/api/v1/dead-letters").json()["data"]
    assert (dead["id"], dead["error"]["code"]) == (job["id"], "worker_lost")
    before = bell.rung
    assert client.post("/api/v1/dead-letters/replay", params={"job": job["id"]}).json()["replayed"] == 1
    assert bell.rung == before + 1
    assert client.get(job["links"]["self"]).json()["status"] == "queued"
    assert client.post("/api/v1/dead-letters/replay").json()["replayed"] == 0


def test_a_filter_that_the_address_contradicts_is_refused(client):
    batch, other = (client.post("/api/v1/batches", json=[{"prompt": "a"}]).json()["id"] for _ in range(2))
    for path, wanted in ((f"/api/v1/batches/{batch}/jobs", {"batch": other}), ("/api/v1/dead-letters", {"dead_letter": False})):
        answer = client.get(path, params=wanted)
        assert (answer.status_code, answer.json()["code"]) == (422, "filter_contradicts_address")
    assert len(client.get(f"/api/v1/batches/{batch}/jobs", params={"batch": batch}).json()["data"]) == 1
