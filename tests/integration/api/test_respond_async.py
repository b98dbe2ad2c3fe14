"""Orders that are answered before their rows are read: the file is safe, and the rows or the reason follow."""

from __future__ import annotations

import importlib
import json
import threading
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, text

from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.template_body import TemplateBody
from factory.errors import DatabaseDown, LeaseLost
from factory.intake import check_upload
from factory.intake.read_next_order import read_next_order
from factory.jobs import unread_orders
from factory.jobs.end_batches import end_batches
from factory.jobs.receive_order import MOST_UNREAD
from factory.jobs.templates import save_template
from factory.jobs.unread_orders import MOST_ATTEMPTS, parts_of, put_back, renew_lease, take_batch, take_unread
from tests.integration.queue.plant import until
from tests.workbooks import workbook

reading = importlib.import_module("factory.intake.read_next_order")
BATCHES = "/api/v1/batches"
LATER = {"Prefer": "respond-async"}
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
GOOD, BAD = {"prompt": "a red mug", "sku": "A-1"}, {"prompt": "x", "width": 65}


@pytest.fixture(autouse=True)
def nothing_waits(db: Database) -> Iterator[None]:
    yield
    with db.transaction() as session:
        session.execute(text("UPDATE batches SET unread = false, ended_at = now() WHERE unread"))
        session.execute(text("DELETE FROM unread_orders"))


@pytest.fixture
def read(app: FastAPI, db: Database) -> Callable[[], list[int]]:
    """Reads what waits; how many rows of each order were ordered."""

    def read() -> list[int]:
        done: list[int] = []
        while (rows := read_next_order(db, app.state.admission)) is not None:
            done.append(rows)
        return done

    return read


def ndjson(*rows: Any) -> bytes:
    return b"\n".join(json.dumps(row, ensure_ascii=False).encode() for row in rows)


def send(
    client: TestClient, content: bytes, kind: str = "application/x-ndjson", headers: dict[str, str] | None = None, **params: Any
) -> Any:
    return client.post(BATCHES, params=params, content=content, headers={"Content-Type": kind, **LATER, **(headers or {})})


def now(client: TestClient, batch: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = client.get(batch["links"]["self"]).json()
    return found


def actions(client: TestClient, batch: dict[str, Any]) -> list[str]:
    return [event["action"] for event in client.get(batch["links"]["self"] + "/events").json()["data"]][::-1]


def expire_leases(db: Database) -> None:
    with db.transaction() as session:
        session.execute(text("UPDATE unread_orders SET lease_until = now() - interval '1 second'"))


def test_it_is_reading_until_it_is_read_and_then_as_any_order(client, read, readers_bell):
    before = readers_bell.rung
    answer = send(client, ndjson(GOOD, BAD, GOOD | {"sku": "A-2"}), project="spring", campaign="双11", external_id="mon-1")
    batch = answer.json()
    assert (answer.status_code, answer.headers["Preference-Applied"], answer.headers["Location"]) == (
        202,
        "respond-async",
        batch["links"]["self"],
    )
    assert (batch["status"], batch["total"], batch["external_id"], batch["campaign"]) == ("reading", 0, "mon-1", "双11")
    assert readers_bell.rung == before + 1
    assert now(client, batch)["status"] == "reading"
    assert actions(client, batch) == ["batch.received"]
    assert read() == [2]
    done = now(client, batch)
    assert (done["status"], done["rows_accepted"], done["rows_refused"], done["problem"]) == ("queued", 2, 1, None)
    assert [(error["row"], error["pointer"]) for error in done["row_errors"]] == [(2, "/width")]
    assert done["created_at"] == batch["created_at"]
    jobs = client.get(batch["links"]["jobs"]).json()["data"]
    assert {(job["project"], job["campaign"], job["row"]) for job in jobs} == {("spring", "双11", 1), ("spring", "双11", 3)}
    assert actions(client, batch)[:1] == ["batch.received"]
    assert sorted(actions(client, batch)) == ["batch.received", "batch.submitted", "job.submitted", "job.submitted"]


def test_it_orders_the_same_as_an_order_that_waits_for_its_rows(client, read, db, tenant):
    save_template(db, Caller(tenant, "tests"), TemplateBody.model_validate({"name": "shelf", "title": "架", "prompt": "{product} 在架上", "variables": {"product": {}}}))  # fmt: skip
    table = "货号,商品\nS1,红杯\nS2,蓝杯\n".encode("gbk")
    said: dict[str, Any] = {
        "template": "shelf",
        "map.商品": "vars.product",
        "remember": "shop",
        "priority": "standard",
        "retention": "archive",
    }
    at_once = client.post(BATCHES, params=said, content=table, headers={"Content-Type": "text/csv"}).json()
    later = send(client, table, "text/csv", **said, tag="again").json()
    assert read() == [2]
    same = ("status", "template", "priority", "retention", "total", "warnings", "row_errors")
    assert {name: now(client, later)[name] for name in same} == {name: now(client, at_once)[name] for name in same}
    prompts = [[job["effective"]["prompt"] for job in client.get(batch["links"]["jobs"]).json()["data"]] for batch in (at_once, later)]
    assert prompts[0] == prompts[1] == ["蓝杯 在架上", "红杯 在架上"]
    # By the mapping that it remembered.
    by_name = send(client, "商品\n绿杯\n".encode(), "text/csv", template="shelf", mapping="shop").json()
    assert read() == [1]
    assert now(client, by_name)["total"] == 1


@pytest.mark.parametrize("kind", ["json", "xlsx", "form"])
def test_every_kind_of_file(kind, client, read):
    body = json.dumps({"project": "in-the-body", "external_id": f"b-{kind}", "rows": [GOOD, GOOD]}).encode()
    book = workbook({"一": [["prompt"], ["a"]], "二": [["prompt"], ["b"], ["c"]]})
    if kind == "json":
        answer = send(client, body, "application/json")
    elif kind == "xlsx":
        answer = send(client, book, XLSX, sheet="二", project="in-the-body")
    else:
        answer = client.post(BATCHES, files={"file": ("目录.xlsx", book)}, data={"sheet": "二", "project": "in-the-body"}, headers=LATER)
    assert (answer.status_code, answer.json()["status"]) == (202, "reading")
    assert read() == [2]
    done = now(client, answer.json())
    assert (done["project"], done["total"], done["external_id"]) == ("in-the-body", 2, "b-json" if kind == "json" else None)


def test_a_large_file_goes_in_pieces_and_comes_back_whole(client, db, read):
    rows = [GOOD | {"sku": f"L-{number}", "metadata": {"text": "长" * 300}} for number in range(600)]
    batch = send(client, ndjson(*rows)).json()
    taken = take_unread(db)
    assert taken is not None
    parts = list(parts_of(db, taken))
    assert len(parts) > 2
    assert b"".join(parts) == ndjson(*rows)
    put_back(db, taken, seconds=0)
    assert read() == [600]
    assert now(client, batch)["total"] == 600


@pytest.mark.parametrize(
    ("content", "kind", "said", "code"),
    [
        (b'{"rows": [', "application/json", {}, "malformed_json"),
        (b"", "application/x-ndjson", {}, "empty_batch"),
        (ndjson(BAD, BAD), "application/x-ndjson", {}, "no_valid_rows"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(3000), "text/csv", {}, "xls_not_read"),
        (json.dumps({"rows": [GOOD], "template": "nowhere"}).encode(), "application/json", {}, "unknown_template"),
        (json.dumps({"rows": [GOOD], "prioritty": "bulk"}).encode(), "application/json", {}, "unknown_field"),
        ("名称,颜色\n杯,红\n".encode(), "text/csv", {}, None),
    ],
)
def test_what_the_door_would_have_answered_stands_in_the_batch(content, kind, said, code, client, db, read):
    at_once = client.post(BATCHES, params=said, content=content, headers={"Content-Type": kind}).json()
    batch = send(client, content, kind, **said).json()
    assert batch["status"] == "reading"
    assert read() == [0]
    failed = now(client, batch)
    assert (failed["status"], failed["total"], failed["counts"]["queued"]) == ("failed", 0, 0)
    assert failed["problem"] == {name: at_once[name] for name in ("code", "detail", "errors")}
    assert failed["problem"]["code"] == (code or failed["problem"]["code"])
    end_batches(db)
    assert actions(client, batch) == ["batch.received", "batch.ended"]
    assert now(client, batch)["ended_at"]
    ended = client.get(batch["links"]["self"] + "/events").json()["data"][0]["detail"]
    assert (ended["status"], ended["problem"]) == ("failed", failed["problem"]["code"])


@pytest.mark.parametrize(
    ("said", "kind", "status", "code"),
    [
        ({"prioritty": "bulk"}, "application/x-ndjson", 422, "unknown_field"),
        ({"template": "nowhere"}, "application/x-ndjson", 422, "unknown_template"),
        ({"mapping": "nowhere"}, "text/csv", 422, "unknown_mapping"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "text/csv", 422, "invalid_value"),
        ({}, "image/png", 415, "unsupported_media_type"),
    ],
)
def test_what_stands_beside_the_file_is_answered_at_the_door(said, kind, status, code, client, read):
    answer = send(client, ndjson(GOOD), kind, **said)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert read() == []


def test_sent_again_it_is_the_same_order_before_and_after_it_was_read(client, read):
    key = {"Idempotency-Key": f"k-{uuid.uuid4()}"}
    first = send(client, ndjson(GOOD), headers=key, external_id="once-1").json()
    again = send(client, ndjson(GOOD), headers=key, external_id="once-1")
    assert (again.json()["id"], again.headers["Idempotent-Replayed"]) == (first["id"], "true")
    by_name = send(client, ndjson(GOOD), external_id="once-1")
    assert (by_name.status_code, by_name.json()["id"], by_name.json()["status"]) == (200, first["id"], "reading")
    assert read() == [1]
    # Without the preference too: how long a client waits does not change what it orders.
    after = client.post(BATCHES, params={"external_id": "once-1"}, content=ndjson(GOOD), headers={"Content-Type": "application/x-ndjson"})
    assert (after.json()["id"], after.json()["status"]) == (first["id"], "queued")
    other = send(client, ndjson(GOOD | {"sku": "other"}), external_id="once-1")
    assert (other.status_code, other.json()["code"]) == (422, "external_id_reused")
    assert read() == []


def test_a_name_in_the_body_that_another_order_has_is_told_when_it_is_read(client, read):
    body = json.dumps({"external_id": "twice", "rows": [GOOD]}).encode()
    first, second = (send(client, body + b" " * extra, "application/json").json() for extra in (0, 1))
    assert read() == [1, 0]
    assert now(client, first)["status"] == "queued"
    refused = now(client, second)
    assert (refused["status"], refused["problem"]["code"], refused["external_id"]) == ("failed", "external_id_reused", None)
    assert first["id"] in refused["problem"]["detail"]


def test_rows_that_were_ordered_before_are_refused_row_by_row(client, read):
    named = GOOD | {"external_id": "row-1"}
    send(client, ndjson(named))
    batch = send(client, ndjson(named, GOOD)).json()
    assert read() == [1, 1]
    assert [error["code"] for error in now(client, batch)["row_errors"]] == ["external_id_taken"]


def test_canceled_before_it_is_read_it_is_never_read(client, db, read):
    batch = send(client, ndjson(GOOD)).json()
    canceled = client.post(batch["links"]["self"] + "/cancel").json()
    assert (canceled["status"], canceled["receipt"]["canceled"]) == ("canceled", 0)
    assert read() == []
    end_batches(db)
    assert (now(client, batch)["status"], actions(client, batch)) == ("canceled", ["batch.received", "batch.canceled", "batch.ended"])


def test_canceled_while_it_is_read_nothing_of_it_is_ordered(client, app, db, monkeypatch):
    batch = send(client, ndjson(GOOD)).json()
    check = check_upload.check_upload

    def cancel_then_check(*given: Any) -> Any:
        client.post(batch["links"]["self"] + "/cancel")
        return check(*given)

    monkeypatch.setattr(reading, "check_upload", cancel_then_check)
    assert read_next_order(db, app.state.admission) == 0
    assert (now(client, batch)["status"], now(client, batch)["total"]) == ("canceled", 0)


def test_paused_it_waits_and_resumed_it_is_read(client, read, readers_bell):
    batch = send(client, ndjson(GOOD)).json()
    assert client.post(batch["links"]["self"] + "/pause").json()["status"] == "paused"
    assert read() == []
    woken = readers_bell.rung
    client.post(batch["links"]["self"] + "/resume")
    assert readers_bell.rung == woken + 1
    assert now(client, batch)["status"] == "reading"
    assert read() == [1]


def test_a_priority_that_it_got_meanwhile_stays(client, read):
    batch = send(client, ndjson(GOOD), priority="offpeak").json()
    client.post(batch["links"]["self"] + "/priority", json={"priority": "standard"})
    assert read() == [1]
    (job,) = client.get(batch["links"]["jobs"]).json()["data"]
    assert (now(client, batch)["priority"], job["priority"]) == ("standard", "standard")


def test_what_counts_from_the_order_counts_from_when_it_was_taken(client, db, read):
    batch = send(client, ndjson(GOOD), expires_in=600).json()
    with db.transaction() as session:
        session.execute(text("UPDATE batches SET created_at = created_at - interval '300 s' WHERE id = :id"), {"id": batch["id"]})
    assert read() == [1]
    (job,) = client.get(batch["links"]["jobs"]).json()["data"]
    taken_at = datetime.fromisoformat(now(client, batch)["created_at"])
    assert datetime.fromisoformat(job["expires_at"]) == taken_at + timedelta(seconds=600)


def test_a_reader_that_vanished_is_followed_by_another_and_can_write_no_more(client, db, read):
    batch = send(client, ndjson(GOOD)).json()
    lost = take_unread(db)
    assert lost is not None
    assert read() == []  # it is in that reader's hands
    expire_leases(db)
    assert read() == [1]
    assert not renew_lease(db, lost)
    with pytest.raises(LeaseLost), db.transaction() as session:
        take_batch(session, lost)
    assert now(client, batch)["total"] == 1


def test_an_order_that_kills_every_reader_fails_in_the_end(client, db, read):
    batch = send(client, ndjson(GOOD)).json()
    for _ in range(MOST_ATTEMPTS):
        assert take_unread(db) is not None
        expire_leases(db)
    assert read() == [0]
    failed = now(client, batch)
    assert (failed["status"], failed["problem"]["code"]) == ("failed", "order_unreadable")


def test_a_reader_whose_database_fails_tries_again_after_twice_as_long(client, app, db, read, monkeypatch):
    batch = send(client, ndjson(GOOD)).json()

    def down(*_: Any) -> Any:
        raise DatabaseDown

    with monkeypatch.context() as broken:
        broken.setattr(reading, "check_upload", down)
        waits = []
        for _ in range(3):
            with pytest.raises(DatabaseDown):
                read_next_order(db, app.state.admission)
            with db.transaction() as session:
                waits.append(session.execute(text("SELECT extract(epoch FROM lease_until - now()) FROM unread_orders")).scalar_one())
            expire_leases(db)
    assert [round(wait) for wait in waits] == [10, 20, 40]
    assert read() == [1]
    assert now(client, batch)["status"] == "queued"


def test_a_lease_that_ends_while_rows_are_read_ends_the_reading(client, app, db, monkeypatch):
    monkeypatch.setattr(reading, "RENEW_SECONDS", 0.0)
    batch = send(client, ndjson(*[GOOD] * 600)).json()
    keep = renew_lease
    looks: list[bool] = []

    def lost_at_the_third_look(*given: Any) -> bool:
        looks.append(keep(*given))
        return len(looks) < 3

    monkeypatch.setattr(reading, "renew_lease", lost_at_the_third_look)
    assert read_next_order(db, app.state.admission) == 0
    assert looks == [True] * 3
    assert now(client, batch)["status"] == "reading"


def test_two_readers_read_each_order_once(client, app, db):
    batches = [send(client, ndjson(GOOD | {"sku": f"R-{number}"}, GOOD)).json() for number in range(12)]
    done: list[int] = []

    def read_all() -> None:
        while (rows := read_next_order(db, app.state.admission)) is not None:
            done.append(rows)

    readers = [threading.Thread(target=read_all) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert done == [2] * 12
    assert {now(client, batch)["total"] for batch in batches} == {2}


def test_a_full_queue_turns_it_away_at_the_door_and_while_reading_it_waits(client, db, tenant, read, api_urls):
    def room(places: int) -> None:
        # As an operator's `factory tenants` does.
        owner = create_engine(api_urls[0])
        with owner.begin() as session:
            session.execute(
                text(
                    "INSERT INTO allowances (tenant, member, weight, max_queued) VALUES (:tenant, '', 1, :places)"
                    " ON CONFLICT (tenant, member) DO UPDATE SET max_queued = :places"
                ),
                {"tenant": tenant, "places": places},
            )
        owner.dispose()

    room(3)
    first = send(client, ndjson(GOOD, GOOD)).json()
    second = send(client, ndjson(GOOD, GOOD)).json()
    third = send(client, ndjson(GOOD, GOOD)).json()
    assert read()[:2] == [2, 1]
    assert now(client, first)["total"] == 2
    cut = now(client, second)
    assert (cut["total"], cut["next_row"], cut["row_errors"][0]["code"]) == (1, 2, "queue_full")
    assert now(client, third)["status"] == "reading"
    turned_away = send(client, ndjson(GOOD))
    assert (turned_away.status_code, turned_away.json()["code"]) == (429, "queue_full")
    assert int(turned_away.headers["Retry-After"]) > 0
    room(10)
    expire_leases(db)
    assert read() == [2]


def test_one_tenant_lets_so_many_files_wait_and_no_more(client, client_of, read):
    for _ in range(MOST_UNREAD):
        assert send(client, ndjson(GOOD)).status_code == 202
    refused = send(client, ndjson(GOOD))
    assert (refused.status_code, refused.json()["code"], refused.headers["Retry-After"]) == (429, "queue_full", "10")
    assert send(client_of("t-neighbour"), ndjson(GOOD)).status_code == 202
    assert read() == [1] * (MOST_UNREAD + 1)
    assert send(client, ndjson(GOOD)).status_code == 202


def test_many_files_of_one_tenant_do_not_stand_before_another_s(client, client_of, db, app):
    """Whose rows stand the farther back in the line, their next file is read the later."""
    first = [send(client, ndjson(*[GOOD] * 20)).json()["id"] for _ in range(3)]
    small = [send(client_of("t-small-files"), ndjson(GOOD)).json()["id"] for _ in range(3)]
    order = []
    while (waiting := unread(db)) and read_next_order(db, app.state.admission) is not None:
        order += [batch_id for batch_id in waiting if batch_id not in unread(db)]
    assert [batch_id in small for batch_id in order] == [False, True, True, True, False, False]
    assert [batch_id for batch_id in order if batch_id in first] == first


def test_what_was_canceled_does_not_count_against_a_tenant(client, client_of, db, app):
    big = client.post(BATCHES, json=[GOOD | {"sku": f"B-{n}"} for n in range(300)]).json()
    client.post(big["links"]["self"] + "/cancel")
    client_of("t-busy").post(BATCHES, json=[GOOD] * 20)
    mine = send(client, ndjson(GOOD)).json()["id"]
    send(client_of("t-busy"), ndjson(GOOD))
    assert read_next_order(db, app.state.admission) == 1
    assert mine not in unread(db)


def unread(db: Database) -> list[str]:
    with db.transaction() as session:
        return [str(batch_id) for batch_id in session.scalars(text("SELECT batch_id FROM unread_orders"))]


def test_another_tenant_sees_nothing_of_it(client, client_of):
    batch = send(client, ndjson(GOOD), external_id="mine").json()
    stranger = client_of("t-stranger")
    for path in ("", "/jobs", "/events", "/manifest.csv"):
        assert stranger.get(batch["links"]["self"] + path).status_code == 404
    assert stranger.post(batch["links"]["self"] + "/cancel").status_code == 404


def test_the_same_bytes_twice_with_their_name_inside_are_told_that_nothing_is_missing(client, read):
    body = json.dumps({"external_id": "twice-the-same", "rows": [GOOD]}).encode()
    first, second = (send(client, body, "application/json").json() for _ in range(2))
    assert read() == [1, 0]
    told = now(client, second)["problem"]
    assert told["code"] == "already_ordered"
    assert first["id"] in told["detail"]


def test_what_failed_may_be_sent_again_repaired_under_its_name(client, read, db, tenant):
    failed = send(client, ndjson(BAD), external_id="fix-me").json()
    assert read() == [0]
    assert client.get(f"{BATCHES}/fix-me").json()["id"] == failed["id"]
    repaired = send(client, ndjson(GOOD), external_id="fix-me")
    assert (repaired.status_code, repaired.json()["status"]) == (202, "reading")
    assert read() == [1]
    assert client.get(f"{BATCHES}/fix-me").json()["id"] == repaired.json()["id"]
    assert now(client, failed)["external_id"] is None
    again = client.post(BATCHES, params={"external_id": "fix-me-2"}, content=ndjson(BAD), headers={"Content-Type": "application/x-ndjson"})
    assert again.status_code == 422
    # Byte for byte the same, once the reason has passed.
    body = json.dumps({"rows": [GOOD | {"prompt": None, "template": "later", "vars": {}}]}).encode()
    lost = send(client, body, "application/json", external_id="too-early").json()
    assert read() == [0]
    save_template(db, Caller(tenant, "tests"), TemplateBody.model_validate({"name": "later", "title": "t", "prompt": "a cup"}))
    same = send(client, body, "application/json", external_id="too-early").json()
    assert same["id"] != lost["id"]
    assert read() == [1]


def test_the_template_is_that_of_the_moment_of_the_order(client, read, db, tenant):
    caller = Caller(tenant, "tests")
    save_template(db, caller, TemplateBody.model_validate({"name": "shelf", "title": "t", "prompt": "an old {x}", "variables": {"x": {}}}))
    batch = send(client, ndjson({"vars": {"x": "cup"}}), template="shelf").json()
    save_template(db, caller, TemplateBody.model_validate({"name": "shelf", "title": "t", "prompt": "a new {x}", "variables": {"x": {}}}))
    assert read() == [1]
    (job,) = client.get(batch["links"]["jobs"]).json()["data"]
    assert (job["effective"]["prompt"], job["template"], now(client, batch)["template"]) == ("an old cup", "shelf@1", "shelf")


def test_of_two_templates_the_body_s_is_meant(client, read, db, tenant):
    for name in ("mug", "jug"):
        body = {"name": name, "title": "t", "prompt": f"a {name}"}
        save_template(db, Caller(tenant, "tests"), TemplateBody.model_validate(body))
    content = json.dumps({"template": "jug", "rows": [{"vars": {}}]}).encode()
    batches = [client.post(BATCHES, params={"template": "mug"}, content=content, headers={"Content-Type": "application/json"}).json()]
    batches.append(send(client, content, "application/json", template="mug", tag="later").json())
    assert read() == [1]
    jobs = [client.get(batch["links"]["jobs"]).json()["data"][0] for batch in batches]
    assert [(now(client, batch)["template"], job["template"]) for batch, job in zip(batches, jobs, strict=True)] == [("jug", "jug@1")] * 2


def test_warnings_of_an_order_that_failed_are_kept(client, read):
    table = "提示词,备注\n,x\n".encode("gbk")
    at_once = client.post(BATCHES, content=table, headers={"Content-Type": "text/csv"}).json()
    assert at_once["warnings"]
    batch = send(client, table, "text/csv").json()
    assert read() == [0]
    assert now(client, batch)["warnings"] == at_once["warnings"]


@pytest.mark.parametrize("member", ["", "ana"])
def test_who_is_full_holds_nobody_up(member, client, client_of, db, tenant, app, api_urls, monkeypatch):
    for _ in range(4):
        send(client, ndjson(GOOD), user="ana")
    owner = create_engine(api_urls[0])
    with owner.begin() as session:
        allow = "INSERT INTO allowances (tenant, member, weight, max_queued) VALUES (:tenant, :member, 1, 0)"
        session.execute(text(allow), {"tenant": tenant, "member": member})
    owner.dispose()
    neighbour = client_of(f"t-waits-behind-{member or 'all'}")
    other = send(neighbour, ndjson(GOOD)).json()
    read: list[Any] = []

    def noted(*given: Any) -> Any:
        read.append(given)
        return check_upload.check_upload(*given)

    monkeypatch.setattr(reading, "check_upload", noted)
    assert [read_next_order(db, app.state.admission) for _ in range(6)] == [0, 0, 0, 0, 1, None]
    assert len(read) == 1, "of the others not a row was read"
    assert now(neighbour, other)["total"] == 1


def during_the_write(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None]) -> None:
    """Runs `act` once the rows are written and not committed."""
    take = unread_orders.take_batch

    def act_then_take(*given: Any) -> Any:
        act()
        return take(*given)

    monkeypatch.setattr(reading, "take_batch", act_then_take)


@pytest.mark.parametrize("verb", ["cancel", "pause"])
def test_steered_while_its_rows_are_written_it_answers_at_once_and_nothing_is_ordered(verb, client, app, db, monkeypatch, read):
    batch = send(client, ndjson(GOOD, GOOD)).json()
    answers: list[Any] = []
    with monkeypatch.context() as patched:
        during_the_write(patched, lambda: answers.append(client.post(f"{batch['links']['self']}/{verb}")))
        assert read_next_order(db, app.state.admission) == 0
    status = "canceled" if verb == "cancel" else "paused"
    assert [(answer.status_code, answer.json()["status"]) for answer in answers] == [(200, status)]
    assert (now(client, batch)["status"], now(client, batch)["total"]) == (status, 0)
    client.post(batch["links"]["self"] + "/resume")
    assert read() == ([] if verb == "cancel" else [2])


def test_moved_while_its_rows_are_written_it_is_read_again(client, app, db, monkeypatch, read):
    body = json.dumps({"priority": "standard", "rows": [GOOD]}).encode()
    batch = send(client, body, "application/json").json()
    with monkeypatch.context() as patched:
        during_the_write(patched, lambda: client.post(batch["links"]["self"] + "/priority", json={"priority": "bulk"}))
        assert read_next_order(db, app.state.admission) == 0
    assert read() == [1]
    (job,) = client.get(batch["links"]["jobs"]).json()["data"]
    assert (now(client, batch)["priority"], job["priority"]) == ("bulk", "bulk")


def test_a_pause_that_meets_the_commit_is_not_lost(client, app, db, api_urls, monkeypatch, read):
    """It waits for the reader's lock, and then it must see the rows that came with it."""
    batch = send(client, ndjson(GOOD)).json()
    answers: list[Any] = []
    sender = threading.Thread(target=lambda: answers.append(client.post(batch["links"]["self"] + "/pause").json()))
    submit = reading.submit_batch

    def pause_before_the_commit(*given: Any, **how: Any) -> Any:
        done = submit(*given, **how)
        sender.start()
        with psycopg.connect(api_urls[0].replace("+psycopg", ""), autocommit=True) as owner:
            until(lambda: owner.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone() is not None, 30, "the pause waits")
        return done

    monkeypatch.setattr(reading, "submit_batch", pause_before_the_commit)
    assert read() == [1]
    sender.join(30)
    assert [(answer["status"], answer["held"]) for answer in answers] == [("paused", 1)]


def test_pauses_are_nobodys_vanishing(client, app, db, monkeypatch, read):
    batch = send(client, ndjson(GOOD)).json()
    for _ in range(MOST_ATTEMPTS + 2):
        with monkeypatch.context() as patched:
            during_the_write(patched, lambda: client.post(batch["links"]["self"] + "/pause"))
            assert read_next_order(db, app.state.admission) == 0
        client.post(batch["links"]["self"] + "/resume")
    assert read() == [1]


def test_what_ends_while_the_file_waits_ends_as_expired(client, read, db):
    soon = datetime.now(UTC) - timedelta(seconds=30)
    rows = [GOOD, GOOD | {"expires_in": 120}, GOOD | {"expires_at": soon.isoformat()}]
    batch = send(client, ndjson(*rows), expires_in=60).json()
    with db.transaction() as session:
        session.execute(text("UPDATE batches SET created_at = created_at - interval '90 s' WHERE id = :id"), {"id": batch["id"]})
    assert read() == [3]
    taken_at = datetime.fromisoformat(now(client, batch)["created_at"])
    ends = [datetime.fromisoformat(job["expires_at"]) for job in client.get(batch["links"]["jobs"]).json()["data"]]
    assert sorted(ends) == sorted([taken_at + timedelta(seconds=60), soon, taken_at + timedelta(seconds=120)])


def test_there_is_nothing_to_collect_before_it_is_read(client, read):
    batch = send(client, ndjson(GOOD)).json()
    for what in ("manifest.csv", "manifest.jsonl", "archive.zip"):
        early = client.get(f"{batch['links']['self']}/{what}")
        assert (early.status_code, early.json()["code"]) == (409, "batch_unread")
    assert read() == [1]
    assert client.get(batch["links"]["self"] + "/manifest.csv").status_code == 200


def test_with_wait_too_both_preferences_are_applied(client):
    answer = client.post(
        BATCHES, content=ndjson(GOOD), headers=[("Content-Type", "application/x-ndjson"), ("Prefer", "wait=1"), ("Prefer", "respond-async")]
    )
    assert (answer.status_code, answer.json()["status"]) == (202, "reading")
    assert answer.headers.get_list("Preference-Applied", split_commas=True) == ["wait=1", "respond-async"]
