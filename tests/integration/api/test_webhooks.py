"""Webhooks over HTTP: made, shown without their secret, stopped, tried out and replayed."""

from __future__ import annotations

import uuid

import pytest

from factory.api.webhook_bodies import shown
from factory.domain.api_key import Scope
from factory.jobs.compose_message import Mailroom
from factory.jobs.deliver_webhooks import deliver_webhooks
from factory.notify.courier import Courier
from tests.integration.telling import plan_all

HOOKS = "/api/v1/webhooks"
URL = "https://hooks.example.com/in?token=very-secret"


@pytest.fixture
def hook(client):
    answer = client.post(HOOKS, json={"url": URL, "events": ["job.*"]})
    assert answer.status_code == 201
    return answer.json()


def fail_all(db):
    """Every name leads inward, so nothing is sent."""
    plan_all(db)
    return deliver_webhooks(db, Mailroom(Courier(resolver=lambda _: ["10.0.0.1"])), seconds=30)


def test_the_secret_is_shown_once(client, hook):
    assert hook["secret"].startswith("whsec_")
    assert (hook["status"], hook["signed"], hook["events"]) == ("enabled", True, ["job.*"])
    for answer in (client.get(HOOKS), client.get(hook["links"]["self"]), client.post(hook["links"]["disable"])):
        assert answer.status_code == 200
        assert hook["secret"] not in answer.text
        assert "very-secret" not in answer.text
    rotated = client.post(hook["links"]["rotate"]).json()
    assert rotated["secret"].startswith("whsec_")
    assert rotated["secret"] != hook["secret"]
    assert rotated["rotated_at"]


def test_what_was_sent_again_made_one(client):
    sent = [client.post(HOOKS, json={"url": URL}, headers={"Idempotency-Key": "once"}) for _ in range(2)]
    assert [answer.status_code for answer in sent] == [201, 201]
    assert sent[0].json() == sent[1].json()
    assert len(client.get(HOOKS).json()["data"]) == 1
    assert sent[0].json()["events"] == ["batch.ended"]


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        ({}, "field_missing", "/url"),
        ({"url": "http://169.254.169.254/"}, "url_not_allowed", "/url"),
        ({"url": "https://localhost/"}, "url_not_allowed", "/url"),
        ({"url": "https://hooks.example.com:8443/"}, "url_not_allowed", "/url"),
        ({"url": URL, "events": ["job.exploded"]}, "unknown_event", "/events/0"),
        ({"url": URL, "events": []}, "invalid_value", "/events"),
        ({"url": URL, "kind": "pager"}, "invalid_value", "/kind"),
        ({"url": URL, "secret": "weak"}, "invalid_secret", "/secret"),
        ({"url": URL, "kind": "wecom", "secret": "something-long"}, "invalid_secret", "/secret"),
        ({"url": URL, "colour": "red"}, "unknown_field", "/colour"),
        ({"url": 7}, "wrong_type", "/url"),
    ],
)
def test_what_is_wrong_is_named(client, body, code, pointer):
    answer = client.post(HOOKS, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert answer.json()["errors"][0]["pointer"] == pointer
    assert client.post(HOOKS, content=b"{").json()["code"] == "malformed_json"


def test_a_robot_has_its_own_secret_and_hides_its_address(client):
    url = "https://open.feishu.cn/open-apis/bot/v2/hook/0192f0c1-aaaa-bbbb-cccc-0123456789ab"
    made = client.post(HOOKS, json={"url": url, "kind": "feishu", "secret": "robot-secret-1"}).json()
    assert made["url"] == "https://open.feishu.cn/open-apis/bot/v2/hook/0192…"
    assert shown(f"{url}/") == made["url"]
    assert shown("https://e.com/a?0192f0c1&key=0192f0c1") == "https://e.com/a?…&key=…"
    assert client.post(made["links"]["rotate"]).json()["code"] == "invalid_secret"
    assert client.post(made["links"]["rotate"], json={"secret": "robot-secret-2"}).json()["signed"]


def test_deliveries_say_how_it_went_and_can_be_sent_again(client, hook, db):
    client.post("/api/v1/jobs", json={"prompt": "a secret plan", "sku": "S1"})
    fail_all(db)
    page = client.get(hook["links"]["deliveries"], params={"unacknowledged": True}).json()
    one = page["data"][0]
    assert (one["type"], one["status"], one["attempts"], one["answer"]["code"]) == ("job.submitted", "waiting", 1, "url_not_allowed")
    assert one["payload"]["data"]["sku"] == "S1"
    assert "secret plan" not in str(page)
    assert client.get(one["links"]["self"]).json()["id"] == one["id"]
    assert client.post(one["links"]["replay"]).status_code == 202
    fail_all(db)
    assert client.get(one["links"]["self"]).json()["attempts"] == 2


def test_a_test_sends_a_ping(client, hook, db):
    sent = client.post(hook["links"]["test"])
    assert (sent.status_code, sent.json()["type"], sent.json()["status"]) == (202, "ping", "waiting")
    fail_all(db)
    assert client.get(sent.json()["links"]["self"]).json()["attempts"] == 1


def test_disabled_and_enabled_with_a_replay_of_what_was_missed(client, hook, db):
    stopped = client.post(hook["links"]["disable"]).json()
    assert (stopped["status"], stopped["disabled_why"]) == ("disabled", "disabled by its owner")
    assert client.post(hook["links"]["test"]).json()["code"] == "webhook_disabled"
    client.post("/api/v1/jobs", json={"prompt": "a"})
    plan_all(db)
    assert client.get(hook["links"]["deliveries"]).json()["data"] == []
    assert client.post(hook["links"]["enable"]).json()["status"] == "enabled"
    answer = client.post(hook["links"]["replay"], json={"since": "2020-01-01"})
    assert (answer.status_code, answer.json()) == (202, {"object": "replay", "replayed": 1})
    assert client.post(hook["links"]["replay"], json={}).json()["code"] == "field_missing"


def test_pages(client, hook, db):
    for _ in range(5):
        client.post(hook["links"]["test"])
    first = client.get(hook["links"]["deliveries"], params={"limit": 3}).json()
    second = client.get(hook["links"]["deliveries"], params={"limit": 3, "cursor": first["next_cursor"]}).json()
    assert (len(first["data"]), len(second["data"]), second["next_cursor"]) == (3, 2, None)
    assert len({row["id"] for row in first["data"] + second["data"]}) == 5


def test_deleted_is_gone_and_logged(client, hook):
    assert client.delete(hook["links"]["self"]).status_code == 204
    assert client.get(hook["links"]["self"]).status_code == 404
    actions = [event["action"] for event in client.get("/api/v1/audit/events", params={"action": "webhook.deleted"}).json()["data"]]
    assert actions == ["webhook.deleted"]


def test_another_tenants_webhook_does_not_exist(client_of, hook):
    stranger = client_of("stranger-to-hooks")
    links = hook["links"]
    unknown = f"{links['deliveries']}/{uuid.uuid4()}"
    for answer in (
        stranger.get(links["self"]),
        stranger.delete(links["self"]),
        stranger.get(links["deliveries"]),
        stranger.get(unknown),
        stranger.post(f"{unknown}/replay"),
        *(stranger.post(links[name]) for name in ("rotate", "enable", "disable", "test", "replay")),
    ):
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_scopes(client, hook, make_key, tenant):
    reader = {"Authorization": f"Bearer {make_key(tenant, Scope.JOBS_READ)}"}
    assert client.get(hook["links"]["self"], headers=reader).status_code == 200
    assert client.post(HOOKS, json={"url": URL}, headers=reader).status_code == 403
    assert client.delete(hook["links"]["self"], headers=reader).status_code == 403
