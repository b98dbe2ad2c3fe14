"""What every answer carries, and what operators ask."""

from __future__ import annotations

import time

from fastapi.testclient import TestClient

from factory.api import create_app

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def test_every_answer_has_an_id_and_guards(client):
    for path in ("/healthz", "/api/v1/jobs", "/nowhere", "/api/v1/jobs/nothing", "/metrics"):
        headers = client.get(path, headers={"traceparent": TRACE}).headers
        assert len(headers["x-request-id"]) == 36
        assert headers["traceparent"] == TRACE
        assert (headers["x-content-type-options"], headers["cache-control"]) == ("nosniff", "no-store")
    assert client.get("/healthz", headers={"X-Request-Id": "mine-1"}).headers["x-request-id"] == "mine-1"
    assert len(client.get("/healthz", headers={"X-Request-Id": "a b", "traceparent": "x"}).headers["x-request-id"]) == 36


def test_no_such_route_or_method(client):
    assert client.get("/nowhere").json()["code"] == "no_such_route"
    wrong = client.delete("/api/v1/jobs")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "POST" in wrong.headers["allow"] or "GET" in wrong.headers["allow"]


def test_what_nobody_foresaw_tells_nothing(client, app, monkeypatch):
    def broken():
        raise RuntimeError("password=hunter2")

    monkeypatch.setitem(app.state._state, "admission", broken)
    answer = client.post("/api/v1/jobs", json={"prompt": "a"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "hunter2" not in answer.text
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_alive_ready_and_in_detail(client, monkeypatch):
    monkeypatch.setattr("factory.api.health.PATIENCE", 60)  # a busy machine is not a sick one
    assert client.get("/healthz").json() == {"status": "ok"}
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json()["failed"]) == (200, [])
    health = client.get("/api/v1/health").json()
    assert health["status"] == "ok"
    assert health["version"]
    assert set(health["components"]) == {"database", "storage", "redis"}
    assert health["versions"]["policy"]


def test_what_is_down_is_named_without_its_address(settings):
    def frozen():
        time.sleep(30)

    down = settings.model_copy(update={"database_url": type(settings.database_url)("postgresql+psycopg://u:p@127.0.0.1:1/x")})
    sick = TestClient(create_app(down, ring=lambda _: None, wake_reader=lambda: None, probe_broker=frozen), raise_server_exceptions=False)
    assert sick.get("/healthz").status_code == 200
    ready = sick.get("/readyz")
    assert (ready.status_code, ready.json()["failed"]) == (503, ["database"])
    started = time.monotonic()
    health = sick.get("/api/v1/health").json()
    assert time.monotonic() - started < 20
    assert (health["status"], health["components"]["redis"]["status"]) == ("degraded", "timeout")
    order = sick.post("/api/v1/jobs", json={"prompt": "a"}, headers={"Authorization": "Bearer x"})
    assert (order.status_code, order.json()["code"], order.json()["retryable"]) == (503, "database_down", True)
    assert order.headers["retry-after"]
    for answer in (ready, order):
        assert "127.0.0.1" not in answer.text
    assert "factory_oldest_queued_seconds NaN" in sick.get("/metrics").text


def test_metrics_are_counted_by_template(client):
    client.post("/api/v1/jobs", json={"prompt": "a"})
    client.get("/api/v1/jobs/some-id-of-a-client")
    client.get("/wp-admin/some-id-of-a-client")
    client.request("BREW", "/api/v1/jobs")
    text = client.get("/metrics").text
    assert 'factory_http_requests_total{method="GET",route="/api/v1/jobs/{name}",status="404"}' in text
    assert 'route="unmatched"' in text
    assert 'method="BREW"' not in text
    assert "some-id-of-a-client" not in text
    queued = next(line for line in text.splitlines() if line.startswith('factory_jobs{state="queued"}'))
    assert float(queued.split()[1]) >= 1
    assert sum(line.startswith("factory_") for line in text.splitlines()) >= 25
