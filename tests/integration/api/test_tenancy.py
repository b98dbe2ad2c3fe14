"""Another tenant's things do not exist. Goes over every route there is, so a new one is covered before anybody thinks of it."""

from __future__ import annotations

import pytest
from fastapi.routing import APIRoute

from factory.api.app import ROUTES
from tests.integration.api.finishing import finish_all

HOUSE_ONLY = ("/api/v1/queue", "/api/v1/allowances")  # test_queue.py goes over these
OPEN = {"/healthz", "/readyz", "/metrics", "/api/v1/health", "/files/{key}"}
CLIENTS_OWN = {("PUT", "/api/v1/jobs/{external_id}"), ("PUT", "/api/v1/mappings/{name}")}  # the same name is free for every tenant


def routes_of(app):
    """(method, path template) of all routes, however they were included."""
    found = [(method, template) for template, operations in app.openapi()["paths"].items() for method in map(str.upper, operations)]
    found = [(method, template) for method, template in found if not template.startswith(HOUSE_ONLY)]
    assert len(found) > 20
    return found


@pytest.fixture(scope="module")
def theirs(client_of, db, app):
    """Ids of a tenant that has one of everything."""
    owner = client_of("victim")
    job = owner.put("/api/v1/jobs/their-job", json={"prompt": "a secret plan", "sku": "secret"}).json()
    batch = owner.post("/api/v1/batches", params={"external_id": "their-batch"}, json=[{"prompt": "a secret plan"}]).json()
    owner.post("/api/v1/jobs", json={"prompt": "毒品"})
    finish_all(db, app.state.storage, "victim")
    waiting = owner.post("/api/v1/jobs", json={"prompt": "a secret plan"}).json()
    asset = owner.get(job["links"]["self"]).json()["asset"]
    webhook = owner.post("/api/v1/webhooks", json={"url": "https://hooks.example.com/"}).json()
    body = {"name": "their-own", "title": "Ours", "prompt": "a secret {thing}", "variables": {"thing": {"type": "text"}}}
    assert owner.post("/api/v1/templates", json=body).is_success
    assert owner.put("/api/v1/mappings/their-erp", json={"columns": {"货": "sku"}}).is_success
    ids = {"job": [job["id"], "their-job", waiting["id"]], "batch": [batch["id"], "their-batch"], "asset": [asset["id"]]}
    return ids | {"webhook": [webhook["id"]], "template": ["their-own"], "mapping": ["their-erp"]}


def addresses(template, theirs):
    if "{" not in template:
        return [template]
    kind = {
        "jobs": "job",
        "batches": "batch",
        "assets": "asset",
        "webhooks": "webhook",
        "templates": "template",
        "mappings": "mapping",
    }.get(template.split("/")[3])
    assert kind, f"{template} has an id of a kind that this test does not know"
    start, _, rest = template.partition("{")
    return [start + name + rest.partition("}")[2] for name in theirs[kind]]


def test_no_route_gives_anything_of_another_tenant_away(app, client_of, theirs):
    stranger, victim = client_of("stranger"), client_of("victim")
    asked = 0
    for method, template in routes_of(app):
        if template in OPEN or (method, template) in CLIENTS_OWN:
            continue
        for address in addresses(template, theirs):
            answer = stranger.request(method, address, json={"prompt": "a"} if method != "GET" else None)
            asked += 1
            if "{" in template:
                assert answer.status_code == 404, f"{method} {address}: {answer.status_code}"
                assert answer.json()["code"] == "not_found"
            for ours in (theirs["job"][0], theirs["batch"][0], theirs["asset"][0], "secret", "victim", "毒品"):
                assert ours in address or ours not in answer.text, f"{method} {address}"
    assert asked > 25
    assert [job["status"] for job in victim.get("/api/v1/jobs").json()["data"]] == ["queued", "succeeded", "succeeded"]


def test_every_list_of_the_stranger_is_empty_and_the_owners_is_not(app, client_of, theirs):
    stranger, owner = client_of("empty-handed"), client_of("victim")
    lists = [template for method, template in routes_of(app) if method == "GET" and "{" not in template and template not in OPEN]
    seen = 0
    for address in lists:
        answer = stranger.get(address)
        if "/export" in address or address.endswith("/checkpoints"):
            continue
        data = answer.json()["data"]
        assert [row for row in data if row.get("action") != "key.created"] == [], address
        seen += bool(owner.get(address).json()["data"])
    assert seen >= 4
    assert stranger.get("/api/v1/audit/export").text == ""
    assert stranger.get("/api/v1/audit/records", params={"decision": "blocked"}).json()["data"] == []


def test_every_route_but_the_open_ones_asks_for_a_key(app, client_of, theirs):
    anybody = client_of("anybody")
    anybody.headers.pop("authorization")
    for method, template in routes_of(app):
        if template in OPEN:
            continue
        for address in addresses(template, theirs):
            answer = anybody.request(method, address)
            assert answer.status_code == 401, f"{method} {address}"
            assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_walk_sees_routes_that_openapi_hides(app):
    hidden = {route.path for room in ROUTES for route in room.router.routes if isinstance(route, APIRoute) and not route.include_in_schema}
    assert hidden == {"/files/{key:path}"}  # HEAD, beside the GET
