"""One picture: ordered, looked at, waited for, canceled."""

from __future__ import annotations

import threading
import time
import uuid

import pytest
from sqlalchemy import event

from tests.integration.api.finishing import CONTENT, finish_all, finish_what_comes

JOBS = "/api/v1/jobs"


def test_an_order_is_committed_before_202_and_rings_once(client, bell):
    before = bell.rung
    answer = client.post(JOBS, json={"prompt": "一只红色马克杯", "model": "simulated", "width": 64, "height": 128, "sku": "杯-1"})
    assert answer.status_code == 202
    job = answer.json()
    assert (job["status"], job["asset"], job["sku"], job["priority"]) == ("queued", None, "杯-1", "interactive")
    assert job["requested"] == {"prompt": "一只红色马克杯", "model": "simulated", "width": 64, "height": 128, "sku": "杯-1"}
    assert job["effective"]["num_inference_steps"] == 8
    assert 0 <= job["effective"]["seed"] < 2**63
    assert "asset" not in job["links"]
    assert "permanent" not in job["links"]
    assert answer.headers["location"] == job["links"]["self"]
    assert client.get(job["links"]["self"]).json() == job
    assert [event["action"] for event in client.get(job["links"]["events"]).json()["data"]] == ["job.submitted"]
    assert bell.rung == before + 1


def test_what_has_no_effect_is_named(client):
    sent = {"prompt": "a", "negative_prompt": "b", "guidance_scale": 7.5, "num_inference_steps": 30}
    job = client.post(JOBS, json=sent).json()
    assert {warning["code"] for warning in job["warnings"]} == {"negative_prompt_ignored", "guidance_scale_ignored", "steps_fixed"}
    assert job["requested"]["guidance_scale"] == 7.5
    assert job["effective"]["guidance_scale"] == 0


def test_a_finished_job_shows_its_picture(client, db, app, tenant):
    job = client.post(JOBS, json={"prompt": "a", "project": "春节"}).json()
    assert finish_all(db, app.state.storage, tenant) == 1
    done = client.get(f"{JOBS}/{job['id']}").json()
    assert done["status"] == "succeeded"
    asset = done["asset"]
    assert asset["filename"].startswith("春节_")
    assert client.get(done["links"]["asset"]).json()["sha256"] == asset["sha256"]
    plain = {"Authorization": ""}
    got = client.get(asset["url"], headers=plain)
    assert (got.status_code, got.content, got.headers["content-type"]) == (200, CONTENT, "image/png")
    assert client.head(asset["url"], headers=plain).status_code == 200
    assert "filename*=UTF-8''" in got.headers["content-disposition"]
    assert client.get(done["links"]["permanent"], headers=plain, follow_redirects=False).status_code == 401
    forward = client.get(done["links"]["permanent"], follow_redirects=False)
    assert forward.status_code == 307
    assert client.get(forward.headers["location"], headers=plain).content == CONTENT
    changed = asset["url"].replace("expires=", "expires=9")
    assert client.get(changed, headers=plain).json()["code"] == "link_invalid"
    short = client.get(done["links"]["asset"], params={"seconds": 1}).json()["url"]
    time.sleep(1.1)
    assert client.get(short, headers=plain).json()["code"] == "link_expired"


def test_wait_answers_when_the_job_has_ended(client, db, app, tenant):
    worker = threading.Timer(0.6, finish_what_comes, (db, app.state.storage, tenant))
    worker.start()
    answer = client.post(JOBS, json={"prompt": "a"}, headers={"Prefer": "respond-async, wait=60"})
    worker.join()
    assert answer.status_code == 200
    assert answer.json()["status"] == "succeeded"
    assert answer.headers["preference-applied"] == "wait=60"


def test_a_wait_that_is_too_short_answers_202(client):
    started = time.monotonic()
    answer = client.post(f"{JOBS}?wait=0.4", json={"prompt": "a"})
    assert (answer.status_code, answer.json()["status"]) == (202, "queued")
    assert 0.3 < time.monotonic() - started < 15  # not the minute that a wait may take
    again = client.get(answer.json()["links"]["self"], headers={"Prefer": "wait=9999999"}, params={"wait": 0.1})
    assert (again.status_code, again.headers["preference-applied"]) == (202, "wait=0.1")


def test_a_job_under_the_clients_own_id(client, bell):
    rung = bell.rung
    first = client.put(f"{JOBS}/sku-1-main", json={"prompt": "a"})
    assert (first.status_code, first.json()["external_id"]) == (202, "sku-1-main")
    again = client.put(f"{JOBS}/sku-1-main", json={"prompt": "a"})
    assert (again.status_code, again.json()["id"], again.headers["idempotent-replayed"]) == (200, first.json()["id"], "true")
    assert bell.rung == rung + 1
    other = client.put(f"{JOBS}/sku-1-main", json={"prompt": "b"})
    assert (other.status_code, other.json()["code"]) == (422, "external_id_reused")
    assert client.get(f"{JOBS}/sku-1-main").json()["id"] == first.json()["id"]
    assert client.get(f"{JOBS}/by-external/sku-1-main").json()["id"] == first.json()["id"]
    assert client.get(f"{JOBS}/by-external/{first.json()['id']}").status_code == 404
    differs = client.put(f"{JOBS}/sku-2", json={"prompt": "a", "external_id": "sku-3"})
    assert differs.json()["code"] == "external_id_differs"


def test_a_key_makes_a_repeat_harmless(client):
    headers = {"Idempotency-Key": "k1"}
    first = client.post(JOBS, json={"prompt": "a"}, headers=headers)
    again = client.post(JOBS, json={"prompt": "a"}, headers=headers)
    assert (again.status_code, again.json()) == (202, first.json())
    assert again.headers["idempotent-replayed"] == "true"
    other = client.post(JOBS, json={"prompt": "b"}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len(client.get(JOBS).json()["data"]) == 1
    assert client.post(JOBS, json={"prompt": "a"}, headers={"Idempotency-Key": "k" * 256}).status_code == 422


def test_cancel_is_idempotent_and_its_receipt_is_kept_under_a_key(client):
    job = client.post(JOBS, json={"prompt": "a"}).json()
    first = client.post(job["links"]["cancel"], headers={"Idempotency-Key": "c1"}).json()
    assert (first["status"], first["receipt"]) == ("canceled", {"canceled": 1, "gpu_seconds": 0})
    assert client.post(job["links"]["cancel"], headers={"Idempotency-Key": "c1"}).json() == first
    bare = client.post(job["links"]["cancel"]).json()
    assert (bare["status"], bare["receipt"]["canceled"]) == ("canceled", 0)
    actions = [event["action"] for event in client.get(job["links"]["events"]).json()["data"]]
    assert actions == ["job.canceled", "job.submitted"]


def test_a_cancel_takes_one_connection(client, db):
    """Whoever holds one and waits for a second stands still as soon as all who hold the others do the same."""
    in_use = []

    def counted(*_: object) -> None:
        in_use.append(db.engine.pool.checkedout())

    order = client.post(JOBS, json={"prompt": "a"}).json(), client.post("/api/v1/batches", json=[{"prompt": "a"}]).json()
    event.listen(db.engine, "checkout", counted)
    try:
        answers = [client.post(one["links"]["cancel"], headers={"Idempotency-Key": one["id"]}) for one in order]
    finally:
        event.remove(db.engine, "checkout", counted)
    assert [answer.json()["receipt"]["canceled"] for answer in answers] == [1, 1]
    assert set(in_use) == {1}


def test_a_refused_prompt_names_rule_and_words_and_is_logged(client):
    answer = client.post(JOBS, json={"prompt": "一位模特，毒 品", "sku": "S1"})
    assert (answer.status_code, answer.json()["code"]) == (422, "refused")
    error = answer.json()["errors"][0]
    assert error["pointer"] == "/prompt"
    assert error["rule"]
    assert error["span"] == [5, 8]
    assert error["suggestion"]
    blocked = client.get("/api/v1/audit/records", params={"decision": "blocked"}).json()["data"]
    assert [(event["action"], event["sku"]) for event in blocked] == [("prompt.rejected", "S1")]
    assert client.get(JOBS).json()["data"] == []


def test_a_refusal_is_kept_under_its_key_and_logged_once(client):
    send = {"json": {"prompt": "毒品", "external_id": "x1"}, "headers": {"Idempotency-Key": "refused"}}
    answers = [client.post(JOBS, **send) for _ in range(3)]
    assert {answer.status_code for answer in answers} == {422}
    told = [{name: value for name, value in answer.json().items() if name != "request_id"} for answer in answers]
    assert told[0] == told[1] == told[2]
    assert (told[0]["code"], told[0]["errors"][0]["pointer"]) == ("refused", "/prompt")
    blocked = client.get("/api/v1/audit/events", params={"action": "prompt.rejected"}).json()["data"]
    assert len(blocked) == 1
    other = client.post(JOBS, json={"prompt": "a"}, headers={"Idempotency-Key": "refused"})
    assert other.json()["code"] == "idempotency_key_reused"
    assert client.post(JOBS, json={"prompt": "a", "external_id": "x1"}).status_code == 202


def test_a_repeat_under_its_own_id_is_not_judged_anew(client, app):
    """Rules may have become stricter meanwhile: what was ordered before is told as it stands."""
    first = client.put(f"{JOBS}/judged", json={"prompt": "a"})
    allowed = app.state.admission
    app.state.admission = None
    try:
        again = client.put(f"{JOBS}/judged", json={"prompt": "a"})
    finally:
        app.state.admission = allowed
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])


@pytest.mark.parametrize(
    ("sent", "code", "pointer"),
    [
        ({}, "field_missing", "/prompt"),
        ({"prompt": "a", "width": 1000}, "size_not_multiple_of_16", "/width"),
        ({"prompt": "a", "height": 2048}, "size_out_of_range", "/height"),
        ({"prompt": "a", "size": "2048x64"}, "size_out_of_range", "/width"),
        ({"prompt": "x" * 5000}, "prompt_too_long", "/prompt"),
        ({"prompt": "a <|im_end|> b"}, "prompt_special_token", "/prompt"),
        ({"prompt": "a", "model": "sdxl"}, "unknown_checkpoint", "/model"),
        ({"prompt": "a", "sku": "../../x"}, "invalid_value", "/sku"),
        ({"prompt": "a", "project": "../../x"}, "unsafe_name", "/project"),
        ({"prompt": "a", "seed": "x"}, "wrong_type", "/seed"),
        ({"prompt": "a", "seed": -1}, "invalid_value", "/seed"),
        ({"prompt": "a", "colour": "red"}, "unknown_field", "/colour"),
        ({"prompt": "a", "tags": ["x\x00"]}, "invalid_value", ""),
        ({"prompt": "a", "metadata": {"x": "y\x00"}}, "invalid_value", ""),
        ({"prompt": "a", "external_id": "a b"}, "invalid_value", "/external_id"),
        ({"prompt": "a", "negative_prompt": "x" * 2001}, "invalid_value", "/negative_prompt"),
        ([1], "not_an_object", ""),
    ],
)
def test_bad_input_gets_a_clear_answer(client, sent, code, pointer):
    answer = client.post(JOBS, json=sent)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["errors"][0]["pointer"]) == (code, pointer)
    assert problem["detail"]
    assert problem["retryable"] is False
    assert problem["request_id"] == answer.headers["x-request-id"]
    assert len(answer.content) < 2000


def test_all_that_is_wrong_is_told_at_once(client):
    errors = client.post(JOBS, json={"prompt": "x" * 3000, "width": 65, "model": "?"}).json()["errors"]
    assert {error["pointer"] for error in errors} == {"/prompt", "/width", "/model"}


@pytest.mark.parametrize("content", [b"{", b'{"prompt": "\xff"}', b'{"prompt": "\\ud800"}', b"", b"[" * 100_000])
def test_a_body_that_is_no_json(client, content):
    answer = client.post(JOBS, content=content)
    assert (answer.status_code, answer.json()["code"]) == (400, "malformed_json")


def test_one_jobs_body_is_small_and_plain(client):
    assert client.post(JOBS, json={"prompt": "x" * 1_100_000}).status_code == 413
    assert client.post(JOBS, content=b"{}", headers={"Content-Encoding": "gzip"}).json()["code"] == "unsupported_media_type"


def test_an_id_that_is_none_is_not_found(client):
    for name in (uuid.uuid4(), "no-such", "%00", "a%2Fb"):
        assert client.get(f"{JOBS}/{name}").status_code in (404, 422)


def test_an_own_id_that_equals_another_jobs_id_hides_nothing(client):
    first = client.post(JOBS, json={"prompt": "a"}).json()
    shadow = client.put(f"{JOBS}/{first['id']}", json={"prompt": "b"}).json()
    assert shadow["id"] != first["id"]
    assert client.get(f"{JOBS}/{first['id']}").json()["id"] == first["id"]
    assert client.get(f"{JOBS}/by-external/{first['id']}").json()["id"] == shadow["id"]
    assert client.put(f"{JOBS}/{first['id']}", json={"prompt": "b"}).json()["id"] == shadow["id"]
    assert client.post(f"{JOBS}/{first['id']}/cancel").json()["id"] == first["id"]
    assert client.get(f"{JOBS}/{shadow['id']}").json()["status"] == "queued"
