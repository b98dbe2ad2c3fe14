"""Webhooks from the audit log to a receiver that takes, refuses, dawdles and vanishes."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from PIL import Image
from psycopg.rows import dict_row
from standardwebhooks import Webhook

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.webhook import WebhookEndpoint
from factory.errors import Conflict, Invalid, NotFound
from factory.jobs import webhook_endpoints as hooks
from factory.jobs.close_job import close_job
from factory.jobs.compose_message import Mailroom
from factory.jobs.deliver_webhooks import Delivered, deliver_webhooks
from factory.jobs.end_batches import end_batches
from factory.jobs.end_delivery import LADDER, end_delivery
from factory.jobs.find_deliveries import list_deliveries
from factory.jobs.forget_deliveries import forget_deliveries
from factory.jobs.replay_deliveries import ping_endpoint, replay_delivery, replay_since
from factory.jobs.take_deliveries import LEASE, take_deliveries
from factory.notify.courier import Courier
from factory.notify.feishu_pictures import FeishuPictures
from factory.notify.message import Outcome
from factory.storage import open_storage
from tests.integration.jobs.books import NOON, Clock, finished, make_tenant, submit, submit_rows, take
from tests.integration.telling import PUBLIC, plan_all
from tests.receiver import APP_ID, APP_SECRET, DINGTALK_SECRET, FEISHU_SECRET, HERE, WECOM_KEY, Receiver, running_receiver

OWNER = Actor("key", "fk_testkey")
MAILROOM = Mailroom(Courier(HERE, deadline=30))


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with running_receiver() as server:
        yield server


def listen(db: Database, caller: Caller, url: str, *events: str, kind: str = "standard", secret: str | None = None) -> WebhookEndpoint:
    with db.transaction() as session:
        order = hooks.NewEndpoint(kind, url, events or ("*",), secret)
        return hooks.create_endpoint(session, db.now(), tenant=caller.tenant, order=order, actor=OWNER, reach=HERE)


def act(db: Database, verb: Any, endpoint: WebhookEndpoint, **more: Any) -> Any:
    with db.transaction() as session:
        return verb(session, db.now(), tenant=endpoint.tenant, endpoint_id=endpoint.id, **more)


def tell(db: Database, mailroom: Mailroom = MAILROOM) -> Delivered:
    plan_all(db)
    return deliver_webhooks(db, mailroom, seconds=30)


def finish(db: Database) -> None:
    claim = take(db)
    close_job(db, claim, finished(claim))


def types(receiver: Receiver, path: str = "/ok") -> list[str]:
    """In the order of the events: receivers must not rely on the order of arrival."""
    return [one.json["type"] for one in sorted(receiver.at(path), key=lambda one: one.json["data"].get("event_id") or 0)]


def rows(sql: psycopg.Connection) -> list[dict[str, Any]]:
    return sql.cursor(row_factory=dict_row).execute("SELECT * FROM webhook_deliveries ORDER BY id").fetchall()


def state(sql: psycopg.Connection, endpoint: WebhookEndpoint) -> tuple[bool, str | None]:
    row = sql.execute("SELECT disabled_at IS NOT NULL, disabled_why FROM webhook_endpoints WHERE id = %s", (endpoint.id,)).fetchone()
    assert row is not None
    return row[0], row[1]


def test_every_step_is_told_once_and_thinly(db: Database, caller: Caller, receiver: Receiver, sql: psycopg.Connection) -> None:
    listen(db, caller, f"{receiver.url}/ok")
    job_id = submit(db, caller, prompt="一把秘密的水壶", sku="K1", external_id="mine-1")
    finish(db)
    assert tell(db) == Delivered(3, 3)
    assert tell(db) == Delivered(0, 0)
    assert types(receiver) == ["job.submitted", "job.started", "job.succeeded"]
    last = next(one for one in receiver.at("/ok") if one.json["type"] == "job.succeeded")
    data = last.json["data"]
    assert (data["id"], data["external_id"], data["sku"], data["status"]) == (str(job_id), "mine-1", "K1", "succeeded")
    assert last.json["timestamp"] == "2026-03-01T12:00:00Z"
    asset = sql.execute("SELECT id FROM assets").fetchone()
    assert asset is not None
    assert data["links"]["permanent"] == f"{PUBLIC}/api/v1/assets/{asset[0]}/content"
    assert {one.headers["webhook-id"] for one in receiver.received} == {str(row["id"]) for row in rows(sql)}
    for one in receiver.received:
        assert "秘密" not in one.body.decode()
        assert "signature=" not in one.body.decode()


def test_a_third_party_verifies_old_and_new_secret_while_rotating(db: Database, clock: Clock, caller: Caller, receiver: Receiver) -> None:
    clock.moment = datetime.now(UTC)
    endpoint = listen(db, caller, f"{receiver.url}/ok", "job.submitted")
    old = endpoint.secrets[0]
    new = act(db, hooks.rotate_secret, endpoint, actor=OWNER).secrets[0]
    submit(db, caller)
    assert tell(db).delivered == 1
    for secret in (old, new):
        assert Webhook(secret).verify(receiver.received[-1].body, receiver.received[-1].headers)["type"] == "job.submitted"
    clock.advance(24 * 3600)
    submit(db, caller)
    assert tell(db).delivered == 1
    assert len(receiver.received[-1].headers["webhook-signature"].split()) == 1
    forget_deliveries(db)
    assert hooks.find_endpoint(db, tenant=caller.tenant, endpoint_id=endpoint.id).secrets == [new]


def test_only_what_was_asked_for_and_only_to_its_own_tenant(
    db: Database, caller: Caller, receiver: Receiver, sql: psycopg.Connection
) -> None:
    make_tenant(sql, "neighbour")
    listen(db, Caller(tenant="neighbour", name="fk_other"), f"{receiver.url}/broken")
    listen(db, caller, f"{receiver.url}/ok", "job.rejected", "batch.*")
    submit_rows(db, caller, [{}, {"prompt": "forbidden"}, {"width": 500}])
    finish(db)
    end_batches(db)
    tell(db)
    assert sorted(types(receiver)) == ["batch.ended", "batch.submitted", "job.rejected"]
    ended = next(one.json["data"] for one in receiver.at("/ok") if one.json["type"] == "batch.ended")
    assert (ended["object"], ended["status"], ended["counts"]) == ("batch", "partially_completed", {"succeeded": 1, "rejected": 1})
    assert ended["rows_refused"] == 1
    assert receiver.at("/broken") == []


def test_what_happened_before_there_was_an_endpoint_is_not_told(db: Database, clock: Clock, caller: Caller, receiver: Receiver) -> None:
    submit(db, caller)
    clock.advance(1)
    listen(db, caller, f"{receiver.url}/ok")
    submit(db, caller, sku="later")
    tell(db)
    assert [one.json["data"]["sku"] for one in receiver.at("/ok")] == ["later"]


def test_the_ladder_is_climbed_to_its_end_and_then_the_endpoint_is_disabled(
    db: Database, clock: Clock, caller: Caller, receiver: Receiver, sql: psycopg.Connection
) -> None:
    endpoint = listen(db, caller, f"{receiver.url}/broken", "job.submitted")
    submit(db, caller)
    waits = []
    for attempt in range(1, len(LADDER) + 1):
        assert tell(db) == Delivered(1, 0)
        row = rows(sql)[0]
        assert (row["attempts"], row["answer"]["status"], row["answer"]["code"]) == (attempt, 500, "refused")
        if attempt < len(LADDER):
            waits.append((row["due_at"] - clock.moment).total_seconds())
            clock.moment = row["due_at"] - timedelta(seconds=1)
            assert tell(db) == Delivered(0, 0)
            clock.advance(1)
    for wait, rung in zip(waits, LADDER[1:], strict=True):
        assert 0.9 * rung <= wait <= 1.1 * rung
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 1
    assert (row["ended_at"], row["succeeded"]) == (clock.moment, False)
    disabled, why = state(sql, endpoint)
    assert disabled
    assert "nothing was taken since" in (why or "")
    assert sql.execute("SELECT actor_kind, detail->>'webhook' FROM audit_events WHERE action = 'webhook.disabled'").fetchall() == [
        ("upkeep", str(endpoint.id))
    ]


def test_one_event_that_is_never_taken_does_not_disable_a_receiver_that_takes_others(
    db: Database, clock: Clock, caller: Caller, receiver: Receiver, sql: psycopg.Connection
) -> None:
    endpoint = listen(db, caller, f"{receiver.url}/scripted", "job.submitted")
    receiver.script.answers = [(500, {})]
    submit(db, caller)
    for _ in range(len(LADDER) - 1):
        assert tell(db) == Delivered(1, 0)
        clock.moment = rows(sql)[0]["due_at"]
    clock.advance(-60)
    submit(db, caller)
    receiver.script.answers = [(200, {})]
    assert tell(db) == Delivered(1, 1)
    clock.advance(60)
    receiver.script.answers = [(500, {})]
    assert tell(db) == Delivered(1, 0)
    assert [row["succeeded"] for row in rows(sql)] == [False, True]
    assert state(sql, endpoint) == (False, None)


def test_gone_disables_at_once_and_ends_what_waits(db: Database, caller: Caller, receiver: Receiver, sql: psycopg.Connection) -> None:
    endpoint = listen(db, caller, f"{receiver.url}/gone", "job.*")
    for _ in range(5):
        submit(db, caller)
    tell(db)
    assert len(receiver.received) <= 2  # as many as are under way at once
    codes = [row["answer"]["code"] for row in rows(sql)]
    assert codes.count("endpoint_disabled") >= 3
    assert all(row["ended_at"] and not row["succeeded"] for row in rows(sql))
    assert state(sql, endpoint)[0]
    assert sql.execute("SELECT count(*) FROM audit_events WHERE action = 'webhook.disabled'").fetchone() == (1,)
    submit(db, caller)
    assert tell(db) == Delivered(0, 0)


@pytest.mark.parametrize(
    ("path", "least", "most"), [("/busy", 120, 120), ("/resting", 86_400, 86_400), ("/redirect", 4, 6), ("/garbage", 4, 6)]
)
def test_the_receiver_may_ask_for_time_but_not_for_ever(
    db: Database, clock: Clock, caller: Caller, receiver: Receiver, sql: psycopg.Connection, path: str, least: float, most: float
) -> None:
    listen(db, caller, receiver.url + path, "job.submitted")
    submit(db, caller)
    assert tell(db) == Delivered(1, 0)
    assert least <= (rows(sql)[0]["due_at"] - clock.moment).total_seconds() <= most
    assert len(receiver.received) == 1


def test_a_receiver_that_hangs_is_left_and_tried_again(db: Database, caller: Caller, receiver: Receiver, sql: psycopg.Connection) -> None:
    listen(db, caller, f"{receiver.url}/slow", "job.submitted")
    submit(db, caller)
    assert tell(db, Mailroom(Courier(HERE, deadline=0.3))) == Delivered(1, 0)
    assert rows(sql)[0]["answer"]["code"] == "unreachable"


def test_a_flood_as_an_answer_is_an_answer(db: Database, caller: Caller, receiver: Receiver, sql: psycopg.Connection) -> None:
    listen(db, caller, f"{receiver.url}/huge", "job.submitted")
    submit(db, caller)
    assert tell(db) == Delivered(1, 1)
    assert len(str(rows(sql)[0]["answer"])) < 500


def test_an_address_that_turned_inward_is_not_dialled(db: Database, caller: Caller, receiver: Receiver, sql: psycopg.Connection) -> None:
    listen(db, caller, "https://hooks.example.com/x", "job.submitted")
    submit(db, caller)
    assert tell(db, Mailroom(Courier(resolver=lambda _: ["10.0.0.1"]))) == Delivered(1, 0)
    assert rows(sql)[0]["answer"]["code"] == "url_not_allowed"


def test_an_endpoint_with_much_to_hear_leaves_room_for_others(db: Database, caller: Caller, receiver: Receiver) -> None:
    loud, quiet = listen(db, caller, f"{receiver.url}/ok"), listen(db, caller, f"{receiver.url}/ok", "batch.submitted")
    submit_rows(db, caller, [{}] * 30)
    plan_all(db)
    taken = [one.endpoint_id for one in take_deliveries(db, limit=8, of_each=2)]
    assert sorted(taken) == sorted([loud.id, loud.id, quiet.id])


def test_who_vanishes_with_a_delivery_gives_it_back_and_its_late_word_does_not_count(
    db: Database, clock: Clock, caller: Caller, receiver: Receiver, sql: psycopg.Connection
) -> None:
    listen(db, caller, f"{receiver.url}/ok", "job.submitted")
    submit(db, caller)
    plan_all(db)
    first = take_deliveries(db, limit=8)
    assert len(first) == 1
    assert take_deliveries(db, limit=8) == []
    clock.advance(LEASE.total_seconds())
    second = take_deliveries(db, limit=8)
    assert [(one.id, one.attempts) for one in second] == [(first[0].id, 2)]
    assert not end_delivery(db, first[0], Outcome(False, "refused"))
    assert end_delivery(db, second[0], Outcome(True, "delivered"))
    assert not end_delivery(db, second[0], Outcome(False, "refused"))
    assert rows(sql)[0]["succeeded"]


def test_what_was_not_acknowledged_can_be_asked_for_and_sent_again(
    db: Database, clock: Clock, caller: Caller, receiver: Receiver, sql: psycopg.Connection
) -> None:
    endpoint = listen(db, caller, f"{receiver.url}/scripted", "job.submitted")
    mine: dict[str, Any] = {"tenant": caller.tenant, "endpoint_id": endpoint.id}
    receiver.script.answers = [(200, {})]
    submit(db, caller, sku="taken")
    tell(db)
    receiver.script.answers = [(410, {})]
    submit(db, caller, sku="refused")
    tell(db)
    clock.advance(60)
    submit(db, caller, sku="missed while disabled")
    assert plan_all(db) == 0
    with pytest.raises(Conflict, match="enable it first"):
        act(db, replay_since, endpoint, since=NOON, public_url=PUBLIC)
    act(db, hooks.enable_endpoint, endpoint, actor=OWNER)
    open_ones = list_deliveries(db, **mine, unacknowledged=True)
    assert [row.payload["data"]["sku"] for row in open_ones] == ["refused"]
    receiver.script.answers = [(200, {})]
    before = len(receiver.received)
    assert act(db, replay_since, endpoint, since=NOON, public_url=PUBLIC) == 2
    assert tell(db) == Delivered(2, 2)
    assert sorted(one.json["data"]["sku"] for one in receiver.received[before:]) == ["missed while disabled", "refused"]
    assert list_deliveries(db, **mine, unacknowledged=True) == []
    assert act(db, replay_since, endpoint, since=NOON, public_url=PUBLIC) == 0
    assert sorted(row["replay"] for row in rows(sql)) == [0, 0, 0, 1]


def test_what_is_not_planned_yet_is_not_replayed_and_then_told_twice(db: Database, caller: Caller, receiver: Receiver) -> None:
    endpoint = listen(db, caller, f"{receiver.url}/ok", "job.submitted")
    submit(db, caller)
    assert act(db, replay_since, endpoint, since=NOON - timedelta(days=1), public_url=PUBLIC) == 0
    assert tell(db) == Delivered(1, 1)


def test_what_is_older_than_the_endpoint_or_than_deliveries_are_kept_is_not_replayed(
    db: Database, clock: Clock, caller: Caller, receiver: Receiver, sql: psycopg.Connection
) -> None:
    submit(db, caller)
    clock.advance(60)
    endpoint = listen(db, caller, f"{receiver.url}/ok", "job.submitted")
    clock.advance(60)
    submit(db, caller)
    assert tell(db) == Delivered(1, 1)
    sql.execute("DELETE FROM webhook_deliveries")
    long_ago = NOON - timedelta(days=1)
    assert act(db, replay_since, endpoint, since=long_ago, public_url=PUBLIC) == 1, "none from before the endpoint"
    sql.execute("DELETE FROM webhook_deliveries")
    clock.advance(31 * 86_400)
    assert act(db, replay_since, endpoint, since=long_ago, public_url=PUBLIC) == 0


def test_one_delivery_again(db: Database, caller: Caller, receiver: Receiver, sql: psycopg.Connection) -> None:
    endpoint = listen(db, caller, f"{receiver.url}/scripted", "job.submitted")
    receiver.script.answers = [(500, {}), (200, {})]
    submit(db, caller)
    tell(db)
    waiting = str(rows(sql)[0]["id"])
    assert str(act(db, replay_delivery, endpoint, delivery_id=waiting).id) == waiting
    assert tell(db) == Delivered(1, 1)
    again = act(db, replay_delivery, endpoint, delivery_id=waiting)
    assert (str(again.id) != waiting, again.replay, again.event_id) == (True, 1, rows(sql)[0]["event_id"])
    assert tell(db) == Delivered(1, 1)
    for unknown in ("nonsense", str(endpoint.id)):
        with pytest.raises(NotFound):
            act(db, replay_delivery, endpoint, delivery_id=unknown)


def test_pings_are_told_each_time(db: Database, caller: Caller, receiver: Receiver) -> None:
    endpoint = listen(db, caller, f"{receiver.url}/ok", "batch.ended")
    for _ in range(2):
        act(db, ping_endpoint, endpoint, public_url=PUBLIC)
    assert tell(db) == Delivered(2, 2)
    assert types(receiver) == ["ping", "ping"]


def test_old_deliveries_are_forgotten_but_not_those_under_way(
    db: Database, clock: Clock, caller: Caller, receiver: Receiver, sql: psycopg.Connection
) -> None:
    listen(db, caller, f"{receiver.url}/ok", "job.submitted")
    listen(db, caller, f"{receiver.url}/broken", "job.submitted")
    submit(db, caller)
    tell(db)
    clock.advance(31 * 86_400)
    # Ids tell the time of the machine, not of the test's clock.
    sql.execute("UPDATE webhook_deliveries SET id = CAST(overlay(id::text PLACING '01700000' FROM 1 FOR 8) AS uuid)")
    assert (forget_deliveries(db), forget_deliveries(db)) == (1, 0)
    assert [row["succeeded"] for row in rows(sql)] == [False]


def test_endpoints_are_checked_audited_and_deleted(db: Database, caller: Caller, receiver: Receiver, sql: psycopg.Connection) -> None:
    for url, events, kind, secret, code in (
        ("http://169.254.169.254/", ("*",), "standard", None, "url_not_allowed"),
        ("https://hooks.example.com/", ("job.exploded",), "standard", None, "unknown_event"),
        ("https://hooks.example.com/", ("*",), "standard", "weak", "invalid_secret"),
        ("https://hooks.example.com/", ("*",), "pager", None, "invalid_value"),
    ):
        with pytest.raises(Invalid) as told:
            listen(db, caller, url, *events, kind=kind, secret=secret)
        assert told.value.code == code
    endpoint = listen(db, caller, f"{receiver.url}/ok")
    submit(db, caller)
    tell(db)
    act(db, hooks.rotate_secret, endpoint, actor=OWNER)
    for _ in range(2):
        act(db, hooks.stop_endpoint, endpoint, actor=OWNER)
    for _ in range(2):
        act(db, hooks.enable_endpoint, endpoint, actor=OWNER)
    act(db, hooks.delete_endpoint, endpoint, actor=OWNER)
    told_of = [row[0] for row in sql.execute("SELECT action FROM audit_events WHERE action LIKE 'webhook.%' ORDER BY id").fetchall()]
    assert told_of == ["webhook.created", "webhook.rotated", "webhook.disabled", "webhook.enabled", "webhook.deleted"]
    secrets = str(sql.execute("SELECT detail FROM audit_events").fetchall())
    assert "whsec_" not in secrets
    assert rows(sql) == []
    with pytest.raises(NotFound):
        act(db, hooks.stop_endpoint, endpoint, actor=OWNER)
    for _ in range(hooks.MOST):
        listen(db, caller, f"{receiver.url}/ok")
    with pytest.raises(Conflict):
        listen(db, caller, f"{receiver.url}/ok")


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (640, 480), (200, 30, 30)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    ("kind", "path", "secret", "shown"),
    [
        ("feishu", "/feishu", FEISHU_SECRET, "img_v3_key"),
        ("wecom", f"/wecom?key={WECOM_KEY}", None, "https://factory.example.com/files/"),
        ("dingtalk", "/dingtalk?access_token=abc", DINGTALK_SECRET, "https://factory.example.com/files/"),
    ],
)
def test_a_chat_gets_a_card_with_counts_and_the_first_picture(
    db: Database, clock: Clock, caller: Caller, receiver: Receiver, tmp_path: Path, kind: str, path: str, secret: str | None, shown: str
) -> None:
    clock.moment = datetime.now(UTC)
    storage = open_storage(f"file://{tmp_path}", public_url="https://factory.example.com", link_secret="x" * 40)
    pictures = FeishuPictures(Courier(HERE), APP_ID, APP_SECRET, home=receiver.url)
    listen(db, caller, receiver.url + path, "batch.ended", kind=kind, secret=secret)
    submit_rows(db, caller, [{"sku": "S1"}, {"prompt": "forbidden"}])
    claim = take(db)
    done, content = finished(claim), png()
    storage.put(done.key, content, media_type="image/png", sha256=hashlib.sha256(content).hexdigest(), filename=done.filename)
    close_job(db, claim, done)
    end_batches(db)
    assert tell(db, Mailroom(Courier(HERE), storage, 600, pictures)) == Delivered(1, 1)
    body = receiver.received[-1].body.decode()
    for text in ("批次结束", "Batch ended", "成功 Succeeded", "被拒绝 Refused", shown):
        assert text in body


def test_a_card_comes_without_its_picture_when_that_cannot_be_had(
    db: Database, clock: Clock, caller: Caller, receiver: Receiver, tmp_path: Path
) -> None:
    clock.moment = datetime.now(UTC)
    storage = open_storage(f"file://{tmp_path}", public_url=PUBLIC, link_secret="x" * 40)
    listen(db, caller, f"{receiver.url}/feishu", "job.succeeded", kind="feishu", secret=FEISHU_SECRET)
    submit(db, caller)
    finish(db)  # stored nothing
    pictures = FeishuPictures(Courier(HERE), APP_ID, APP_SECRET, home=receiver.url)
    assert tell(db, Mailroom(Courier(HERE), storage, 600, pictures)) == Delivered(1, 1)
    assert "img_key" not in receiver.received[-1].body.decode()


def test_a_robot_that_refuses_with_http_200_is_tried_again(
    db: Database, clock: Clock, caller: Caller, receiver: Receiver, sql: psycopg.Connection
) -> None:
    clock.moment = datetime.now(UTC)
    listen(db, caller, f"{receiver.url}/feishu", "job.submitted", kind="feishu", secret="another-secret")
    listen(db, caller, f"{receiver.url}/dingtalk/busy", "job.submitted", kind="dingtalk")
    submit(db, caller)
    assert tell(db) == Delivered(2, 0)
    refused, busy = rows(sql)
    if "19021" not in refused["answer"]["detail"]:
        refused, busy = busy, refused
    assert "19021" in refused["answer"]["detail"]
    assert 4 <= (refused["due_at"] - clock.moment).total_seconds() <= 6
    assert (busy["due_at"] - clock.moment).total_seconds() == 60
