"""Orders that get more rows while they go on."""

from __future__ import annotations

import csv
import importlib
import io
import json
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from factory.domain.caller import Caller
from factory.domain.template_body import TemplateBody
from factory.jobs.end_batches import end_batches
from factory.jobs.new_job import SHORT_ORDER
from factory.jobs.pause_batch import converge_pauses
from factory.jobs.prepare_batch import KEPT_ERRORS
from factory.jobs.templates import save_template
from factory.notify.card import card_of
from tests.integration.api.ending import deliver_one
from tests.integration.api.finishing import finish_all
from tests.integration.queue.plant import until
from tests.workbooks import workbook

verb_module = importlib.import_module("factory.jobs.extend_batch")
BATCHES = "/api/v1/batches"
CSV = {"Content-Type": "text/csv"}
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ROWS = [{"prompt": "a red mug", "sku": "A-1", "external_id": "row-1"}, {"prompt": "蓝色杯子", "sku": "A-2"}]
MORE = [{"prompt": "a green mug", "sku": "B-1"}, {"prompt": "黄色杯子", "sku": "B-2"}]
MANY = "\n".join(["prompt", *(f"cup {n}" for n in range(SHORT_ORDER + 1))])


@pytest.fixture
def batch(client):
    return client.post(BATCHES, params={"external_id": "order-1"}, json=ROWS).json()


def extend(client, batch, rows=None, **send):
    return client.post(batch["links"]["rows"], **({"json": rows} if rows is not None else {}), **send)


def now(client, batch):
    return client.get(batch["links"]["self"]).json()


def jobs_of(client, batch, **wanted):
    found = client.get(batch["links"]["jobs"], params={"limit": 200, **wanted}).json()["data"]
    return sorted(found, key=lambda job: job["row"])


def actions(client, batch):
    return [event["action"] for event in client.get(batch["links"]["events"]).json()["data"]]


def problem(answer):
    return answer.status_code, answer.json()["code"]


def test_rows_are_added_behind_those_that_are_there(client, bell, batch):
    before = bell.rung
    answer = client.post(f"{BATCHES}/order-1/rows", json=[*MORE, {"prompt": "x", "width": 65}])
    body = answer.json()
    assert (answer.status_code, answer.headers["location"], bell.rung - before) == (202, batch["links"]["self"], 2)
    assert (body["id"], body["first_row"], body["total"], body["rows_accepted"], body["rows_refused"]) == (batch["id"], 3, 4, 4, 1)
    assert (body["receipt"]["rows_accepted"], body["receipt"]["rows_refused"], body["next_row"]) == (2, 1, None)
    assert [(error["row"], error["pointer"]) for error in body["row_errors"]] == [(5, "/width")]
    assert body["receipt"]["row_errors"] == body["row_errors"]
    assert [(job["row"], job["sku"]) for job in jobs_of(client, batch)] == [(1, "A-1"), (2, "A-2"), (3, "B-1"), (4, "B-2")]
    again = extend(client, batch, {"rows": [{"prompt": "x", "height": 1}, {"prompt": "a white mug"}]}).json()
    assert (again["first_row"], [error["row"] for error in again["row_errors"]], again["rows_refused"]) == (6, [5, 6], 2)
    assert [error["row"] for error in again["receipt"]["row_errors"]] == [6]
    assert now(client, batch)["row_errors"] == again["row_errors"]
    assert [job["row"] for job in jobs_of(client, batch)] == [1, 2, 3, 4, 7]
    events = client.get(batch["links"]["events"]).json()["data"]
    (first,) = [event for event in events if event["action"] == "batch.extended" and event["detail"]["first_row"] == 3]
    assert first["detail"] == {"accepted": 2, "refused": 1, "first_row": 3}
    assert sum(event["action"] == "job.submitted" for event in events) == 5
    lines = csv.DictReader(io.StringIO(client.get(batch["links"]["manifest"]).text))
    assert [(line["row"], line["status"]) for line in lines] == [
        *((str(n), "queued") for n in range(1, 5)),
        ("5", "refused"),
        ("6", "refused"),
        ("7", "queued"),
    ]


def test_what_the_order_says_of_itself_holds_for_them_too(client):
    head = {
        "project": "autumn",
        "user": "ana",
        "campaign": "double-11",
        "cost_centre": "cc-7",
        "tags": ["red"],
        "metadata": {"店": "天猫"},
        "priority": "standard",
        "deadline": "2099-01-01T00:00:00Z",
        "retention": "campaign",
    }
    batch = client.post(BATCHES, json={**head, "rows": ROWS}).json()
    body = extend(client, batch, [{"prompt": "a cup"}, {"prompt": "b", "priority": "interactive", "tags": ["own"]}]).json()
    assert {name: body[name] for name in head if name != "deadline"} == {name: head[name] for name in head if name != "deadline"}
    old, _, like_it, own = jobs_of(client, batch)
    for name in ("project", "user", "campaign", "cost_centre", "tags", "metadata", "priority", "deadline"):
        assert like_it[name] == old[name]
    assert (own["priority"], own["tags"], own["user"]) == ("interactive", ["own"], "ana")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("project", "winter"),
        ("external_id", "order-2"),
        ("user", "bob"),
        ("campaign", "c"),
        ("cost_centre", "c"),
        ("tags", ["x"]),
        ("metadata", {"a": "b"}),
        ("priority", "interactive"),
        ("deadline", "+2h"),
        ("retention", "archive"),
    ],
)
def test_what_the_order_has_said_is_not_said_again(client, batch, name, value):
    in_body = extend(client, batch, {"rows": MORE, name: value})
    assert problem(in_body) == (422, "order_decides")
    (error,) = in_body.json()["errors"]
    assert error["pointer"] == f"/{name}"
    assert f"{name} {str(value)!r}" in error["detail"]
    assert "leave it out" in error["detail"]
    assert error["value"]
    address = f"{batch['links']['rows']}?{'metadata.a' if name == 'metadata' else name}={value if isinstance(value, str) else 'x'}"
    assert problem(client.post(address, json=MORE)) == (422, "order_decides")
    form = client.post(
        batch["links"]["rows"], data={"metadata.a" if name == "metadata" else name: "x"}, files={"file": ("a.csv", b"prompt\na\n")}
    )
    assert problem(form) == (422, "order_decides")
    no_good_row = extend(client, batch, {"rows": [{}], name: value})
    assert problem(no_good_row) == (422, "order_decides"), "said before the rows are complained of"
    assert (now(client, batch)["total"], "batch.extended" in actions(client, batch)) == (2, False)


def test_a_field_that_no_order_has(client, batch):
    answer = extend(client, batch, {"rows": MORE, "projet": "x"})
    assert problem(answer) == (422, "unknown_field")
    assert problem(extend(client, batch, MORE, params={"colour": "red"})) == (422, "unknown_field")


def test_times_are_said_for_the_new_rows_alone(client):
    batch = client.post(BATCHES, params={"expires_at": "2098-01-01T00:00:00Z"}, json=ROWS).json()
    began = datetime.now(UTC)
    body = extend(client, batch, {"rows": MORE, "not_before": "+30m", "expires_in": 7200}).json()
    assert body["receipt"]["rows_accepted"] == 2
    first, *_, last = jobs_of(client, batch)
    assert (first["hold"], last["hold"], datetime.fromisoformat(first["expires_at"]).year) == (None, "scheduled", 2098)
    assert timedelta(seconds=7100) < datetime.fromisoformat(last["expires_at"]) - began < timedelta(seconds=7300)
    extend(client, batch, [{"prompt": "without an end"}])
    assert jobs_of(client, batch)[-1]["expires_at"] is None
    never = extend(client, batch, {"rows": MORE, "not_before": "+2h", "expires_at": "+1h"})
    assert problem(never) == (422, "invalid_value")
    assert problem(extend(client, batch, {"rows": MORE, "expires_at": "2020-01-01T00:00:00Z"})) == (422, "invalid_value")


def save(db, tenant, name, prompt):
    body = {"name": name, "title": "t", "prompt": prompt, "variables": {"x": {"title": "品名"}}}
    save_template(db, Caller(tenant, "tests"), TemplateBody.model_validate(body))


def test_the_template_keeps_its_version_unless_another_is_named(client, db, tenant):
    save(db, tenant, "shelf", "an old {x}")
    batch = client.post(BATCHES, json={"template": "shelf", "rows": [{"prompt": "own"}, {"vars": {"x": "cup"}}]}).json()
    save(db, tenant, "shelf", "a new {x}")
    save(db, tenant, "other", "another {x}")
    assert extend(client, batch, content="品名\n壶\n".encode("gbk"), headers=CSV).json()["receipt"]["rows_accepted"] == 1
    extend(client, batch, {"rows": [{"vars": {}}], "vars": {"x": "jug"}, "template": "other"})
    extend(client, batch, [{"vars": {"x": "pot"}}], params={"template": "shelf"})
    extend(client, batch, [{"vars": {"x": "pan"}}])
    told = [(job["effective"]["prompt"], job["template"]) for job in jobs_of(client, batch)[1:]]
    assert told == [
        ("an old cup", "shelf@1"),
        ("an old 壶", "shelf@1"),
        ("another jug", "other@1"),
        ("a new pot", "shelf@2"),
        ("an old pan", "shelf@1"),
    ]
    assert now(client, batch)["template"] == "shelf"
    assert problem(extend(client, batch, [{"vars": {"x": "a"}}], params={"template": "none"})) == (422, "unknown_template")


def test_seeds_of_a_series_go_on_in_it(client, db, tenant):
    body = {"name": "series", "title": "t", "prompt": "a {x}", "variables": {"x": {}}, "seed": "per_sku"}
    save_template(db, Caller(tenant, "tests"), TemplateBody.model_validate(body))
    rows = [{"sku": "S-1", "vars": {"x": "cup"}}]
    batch = client.post(BATCHES, json={"template": "series", "campaign": "autumn", "rows": rows}).json()
    extend(client, batch, [{"sku": "S-1", "vars": {"x": "jug"}}])
    first, second = jobs_of(client, batch)
    assert first["effective"]["seed"] == second["effective"]["seed"]


def test_a_table_in_gbk_with_chinese_headers(client, batch):
    table = "货号,提示词,宽,备注\nC-1,红色茶壶,64,x\nC-2,蓝色茶壶,65,y\n".encode("gbk")
    body = extend(client, batch, content=table, headers=CSV).json()
    assert {warning["code"] for warning in body["receipt"]["warnings"]} == {"csv_read_as_gb18030", "csv_column_ignored"}
    assert body["warnings"] == body["receipt"]["warnings"]
    (error,) = body["row_errors"]
    assert (error["row"], error["column"], error["cell"], error["code"]) == (4, "宽", "C3", "size_not_multiple_of_16")
    assert jobs_of(client, batch)[-1]["effective"]["prompt"] == "红色茶壶"
    again = extend(client, batch, content=table.replace(b"C-", b"D-"), headers=CSV).json()
    assert again["warnings"] == body["warnings"], "each is said once"


def test_a_workbook_and_a_form_and_lines(client, batch):
    rows: list[list[Any]] = [["春季目录"], ["品名", "宽"], ["红杯", 64], [], ["蓝杯", 65], ["白杯", 64]]
    content = workbook({"第一": [["看下一页"]], "商品": rows})
    how: dict[str, Any] = {"params": {"map.品名": "prompt", "sheet": "商品", "remember": "erp"}, "headers": {"Content-Type": XLSX}}
    body = extend(client, batch, content=content, **how).json()
    assert [(error["row"], error["cell"]) for error in body["row_errors"]] == [(5, "B5")]
    assert [job["row"] for job in jobs_of(client, batch)] == [1, 2, 3, 6], (
        "blank rows are counted, and so is the next extension's beginning"
    )
    assert client.get("/api/v1/mappings/erp").json()["columns"] == {"品名": "prompt"}
    form = client.post(batch["links"]["rows"], data={"mapping": "erp"}, files={"file": ("a.csv", "品名\n黑杯\n".encode())}).json()
    lines = b"\n".join(json.dumps(row).encode() for row in MORE)
    last = extend(client, batch, content=lines, headers={"Content-Type": "application/x-ndjson"}).json()
    assert (form["first_row"], last["first_row"]) == (7, 8)
    assert [job["row"] for job in jobs_of(client, batch)] == [1, 2, 3, 6, 7, 8, 9]


def test_files_of_which_nothing_can_be_added(client, batch):
    for content, kind in ((b"[]", "application/json"), (b"", "text/csv"), (b"prompt\n", "text/csv"), (b"\n", "application/x-ndjson")):
        answer = extend(client, batch, content=content, headers={"Content-Type": kind})
        assert problem(answer) == (422, "empty_batch")
    assert problem(extend(client, batch, content=b"{oops", headers={"Content-Type": "application/json"})) == (400, "malformed_json")
    assert problem(extend(client, batch, content=b"x", headers={"Content-Type": "image/png"})) == (415, "unsupported_media_type")
    none = extend(client, batch, [{"prompt": "a", "width": 1}, {}])
    assert problem(none) == (422, "no_valid_rows")
    assert "row 3 of the order" in none.json()["detail"]
    assert [(error["pointer"], error["row"]) for error in none.json()["errors"]] == [("/rows/3/width", 3), ("/rows/4/prompt", 4)]
    again = extend(client, batch, ROWS[:1])
    assert problem(again) == (422, "no_valid_rows")
    assert [(error["code"], error["row"]) for error in again.json()["errors"]] == [("external_id_taken", 3)]
    assert (now(client, batch)["total"], now(client, batch)["rows_refused"], "batch.extended" in actions(client, batch)) == (2, 0, False)


def test_ids_of_rows_stay_each_rows_own(client, batch):
    rows = [{"prompt": "x", "external_id": "row-1"}, {"prompt": "y", "external_id": "row-9"}, {"prompt": "z", "external_id": "row-9"}]
    body = extend(client, batch, rows).json()
    told = {error["row"]: (error["code"], error["detail"]) for error in body["row_errors"]}
    assert {row: code for row, (code, _) in told.items()} == {3: "external_id_taken", 5: "external_id_repeated"}
    assert "stands in row 4 too" in told[5][1]
    assert client.get("/api/v1/jobs/row-9").json()["row"] == 4


def test_the_limit_is_of_the_whole_order(client, app, monkeypatch, batch):
    usual = app.state.admission()
    monkeypatch.setitem(app.state._state, "admission", lambda: replace(usual, limits=replace(usual.limits, max_rows=5)))
    assert extend(client, batch, [{"prompt": "a"}, {"prompt": "b", "width": 1}]).status_code == 202
    over = extend(client, batch, MORE)
    assert problem(over) == (422, "too_many_rows")
    assert "at most 5 rows, and this one has 4 already" in over.json()["detail"]
    assert extend(client, batch, MORE[:1]).status_code == 202
    assert problem(extend(client, batch, MORE[:1])) == (422, "too_many_rows")
    assert now(client, batch)["total"] == 4


def test_sent_again_with_its_key_it_is_carried_out_once(client, bell, db, app, tenant, batch):
    send: dict[str, Any] = {"headers": {"Idempotency-Key": "extend-1"}}
    first, before = extend(client, batch, MORE, **send), bell.rung
    second = extend(client, batch, MORE, **send)
    assert (second.status_code, second.json(), second.headers["idempotent-replayed"]) == (202, first.json(), "true")
    assert problem(extend(client, batch, MORE[:1], **send)) == (422, "idempotency_key_reused")
    assert (now(client, batch)["total"], bell.rung) == (4, before)
    finish_all(db, app.state.storage, tenant)
    assert extend(client, batch, MORE, **send).json() == first.json(), "whatever became of the order"
    assert problem(extend(client, batch, MORE)) == (409, "batch_ended")


def test_of_many_with_one_key_at_once_one_is_carried_out(client, batch):
    answers: list[Any] = []
    send: dict[str, Any] = {"headers": {"Idempotency-Key": "at-once"}}
    threads = [threading.Thread(target=lambda: answers.append(extend(client, batch, MORE, **send))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {problem(one)[1] if one.status_code == 409 else one.status_code for one in answers} <= {202, "request_in_flight"}
    assert extend(client, batch, MORE, **send).json()["first_row"] == 3
    assert (now(client, batch)["total"], actions(client, batch).count("batch.extended")) == (4, 1)


def test_extensions_at_once_are_numbered_one_behind_the_other(client, batch):
    answers: list[Any] = []
    threads = [threading.Thread(target=lambda: answers.append(extend(client, batch, MORE))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    added = [one for one in answers if one.status_code == 202]
    assert {problem(one) for one in answers if one not in added} <= {(409, "request_in_flight")}
    assert sorted(one.json()["first_row"] for one in added) == [3 + 2 * n for n in range(len(added))]
    assert [job["row"] for job in jobs_of(client, batch)] == list(range(1, 3 + 2 * len(added)))


def test_a_queue_with_room_for_a_part(client, client_of, tenant, batch):
    client_of("factory").put(f"/api/v1/allowances/{tenant}", json={"max_queued": 3})
    cut = extend(client, batch, [*MORE, {"prompt": "c"}])
    body = cut.json()
    assert (cut.status_code, body["first_row"], body["next_row"], cut.headers["ratelimit"]) == (202, 3, 4, '"queued-jobs";r=0')
    assert body["next_row"] - body["first_row"] + 1 == 2, "the row of the file to go on from"
    assert [(error["row"], error["code"]) for error in body["row_errors"]] == [(4, "queue_full"), (5, "queue_full")]
    full = extend(client, batch, MORE)
    assert (*problem(full), full.headers["ratelimit"].split(";")[1]) == (429, "queue_full", "r=0")
    assert int(full.headers["retry-after"]) >= 1
    client_of("factory").put(f"/api/v1/allowances/{tenant}", json={"max_queued": 10})
    rest = extend(client, batch, [MORE[1], {"prompt": "c"}]).json()
    assert (rest["first_row"], rest["next_row"], rest["rows_accepted"], rest["rows_refused"]) == (6, None, 5, 2)


def test_only_an_order_that_goes_on(client, client_of, db, app, tenant, batch):
    assert problem(extend(client_of("t-extends-for-others"), batch, MORE)) == (404, "not_found")
    assert problem(client.post(f"{BATCHES}/no-such/rows", json=MORE)) == (404, "not_found")
    finish_all(db, app.state.storage, tenant)
    done = extend(client, batch, MORE)
    assert problem(done) == (409, "batch_ended")
    assert "order-1 has ended as completed" in done.json()["detail"]
    assert "as an order of their own" in done.json()["detail"]
    end_batches(db)
    assert problem(extend(client, batch, MORE)) == (409, "batch_ended")
    canceled = client.post(BATCHES, json=MORE).json()
    client.post(canceled["links"]["cancel"])
    for _ in range(2):
        late = extend(client, canceled, MORE)
        assert problem(late) == (409, "batch_ended")
        assert "has ended as canceled" in late.json()["detail"]
        end_batches(db)
    assert client.post(canceled["links"]["retry"], json={"statuses": ["canceled"]}).status_code == 202
    assert extend(client, canceled, MORE).status_code == 202, "it goes on again"


def test_an_order_whose_rows_are_not_read_yet_or_never_were(client, db):
    later = client.post(BATCHES, content=b"prompt,width\na,65\n", headers={**CSV, "Prefer": "respond-async"}).json()
    early = extend(client, later, MORE)
    assert (*problem(early), early.json()["retryable"]) == (409, "batch_unread", False)
    with psycopg.connect(db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False), autocommit=True) as sql:
        sql.execute('UPDATE batches SET unread = false, problem = \'{"code": "no_valid_rows"}\' WHERE id = %s', (later["id"],))
        sql.execute("DELETE FROM unread_orders WHERE batch_id = %s", (later["id"],))
    failed = extend(client, later, MORE)
    assert problem(failed) == (409, "batch_ended")
    assert "could not be read" in failed.json()["detail"]


def test_an_order_of_a_catalogue_converges_by_itself(client):
    catalogue = {
        "name": "spring",
        "project": "spring",
        "template": "white-bg-en",
        "rows": [{"sku": "M-1", "product": "mug", "colour": "red"}],
    }
    applied = client.post("/api/v1/catalogues/apply", json=catalogue).json()
    answer = extend(client, applied["batch"], MORE)
    assert problem(answer) == (409, "batch_of_catalogue")
    assert "'spring'" in answer.json()["detail"]


def test_the_rows_of_a_paused_order_are_held_with_it(client, db, app, tenant, batch):
    client.post(batch["links"]["pause"])
    body = extend(client, batch, [*MORE, {"prompt": "毒品"}, {"prompt": "later", "not_before": "+2h"}]).json()
    assert (body["status"], body["counts"]["queued"]) == ("paused", 5)
    assert [job["hold"] for job in jobs_of(client, batch)] == ["paused"] * 4 + [None, "scheduled"]
    assert converge_pauses(db).held == 0, "nothing was left to be held by upkeep"
    assert client.post(batch["links"]["resume"]).json()["released"] == 4
    assert finish_all(db, app.state.storage, tenant) == 4


def test_equal_rows_are_drawn_once(client, db, app, tenant):
    rows = [{"prompt": "a", "seed": 1}, {"prompt": "b", "seed": 2}]
    batch = client.post(BATCHES, json=rows).json()
    deliver_one(db, app.state.storage, tenant)
    body = extend(client, batch, [*rows, {"prompt": "c", "seed": 3}, {"prompt": "c", "seed": 3}]).json()
    assert (body["reused"], body["counts"]["succeeded"]) == (3, 2), "what the order has drawn is delivered at once"
    twins = {job["row"]: job["twin_id"] for job in jobs_of(client, batch)}
    ids = {job["row"]: job["id"] for job in jobs_of(client, batch)}
    assert twins == {1: None, 2: None, 3: ids[1], 4: ids[2], 5: None, 6: ids[5]}
    assert finish_all(db, app.state.storage, tenant) == 2
    assert now(client, batch)["counts"]["succeeded"] == 6
    fresh = client.post(BATCHES, json=rows, params={"reuse": "false"}).json()
    assert extend(client, fresh, rows, params={"reuse": "false"}).json()["reused"] == 0


def test_rows_equal_to_some_that_are_paused_wait_with_them(client, db, app, tenant):
    rows = [{"prompt": "a", "seed": 11}]
    batch = client.post(BATCHES, json=rows).json()
    client.post(batch["links"]["pause"])
    extend(client, batch, rows)
    assert [job["hold"] for job in jobs_of(client, batch)] == ["paused", "twin"]
    client.post(batch["links"]["resume"])
    assert finish_all(db, app.state.storage, tenant) == 1
    assert now(client, batch)["counts"]["succeeded"] == 2


def test_caps_hold_what_is_too_much(client, client_of, tenant, batch):
    client_of("factory").put(f"/api/v1/allowances/{tenant}", json={"max_running": 3})
    extend(client, batch, MORE)
    assert [job["hold"] for job in jobs_of(client, batch)] == [None, None, None, "capped"]


def test_no_more_errors_are_kept_than_of_one_file(client, batch):
    wrong = [{"prompt": "x", "width": 1}] * (KEPT_ERRORS - 1)
    extend(client, batch, [*wrong, {"prompt": "a"}])
    body = extend(client, batch, [{"prompt": "x", "width": 1}] * 3 + [{"prompt": "b"}]).json()
    assert (len(body["row_errors"]), body["rows_refused"], body["rows_accepted"]) == (KEPT_ERRORS, KEPT_ERRORS + 2, 4)
    assert [error["row"] for error in body["receipt"]["row_errors"]] == [1003, 1004, 1005]
    assert body["row_errors"][-1]["row"] == 1003


def test_it_can_be_waited_for(client, db, app, tenant, batch):
    thread = threading.Timer(0.3, lambda: finish_all(db, app.state.storage, tenant))
    thread.start()
    answer = extend(client, batch, MORE, headers={"Prefer": "wait=30"})
    thread.join(30)
    body = answer.json()
    assert (answer.status_code, body["status"], body["first_row"], body["receipt"]["rows_accepted"]) == (200, "completed", 3, 2)
    passed_over = client.post(BATCHES, json=ROWS[1:]).json()
    later = extend(client, passed_over, MORE, headers={"Prefer": "respond-async"})
    assert (later.status_code, later.json()["status"], later.json()["total"]) == (202, "queued", 3)
    assert "preference-applied" not in later.headers


def test_an_order_ends_once_with_its_new_rows(client, db, app, tenant, batch):
    extend(client, batch, MORE)
    for _ in range(3):
        deliver_one(db, app.state.storage, tenant)
        end_batches(db)
    extend(client, batch, [{"prompt": "the last one"}])
    finish_all(db, app.state.storage, tenant)
    end_batches(db)
    end_batches(db)
    events = client.get(batch["links"]["events"], params={"limit": 200}).json()["data"]
    (ended,) = [event for event in events if event["action"] == "batch.ended"]
    assert (ended["detail"]["status"], ended["detail"]["accepted"], ended["detail"]["counts"]["succeeded"]) == ("completed", 5, 5)


def test_a_webhook_may_want_to_hear_of_it(client):
    body = {"url": "https://hooks.example.com/", "events": ["batch.extended"]}
    assert client.post("/api/v1/webhooks", json=body).json()["events"] == ["batch.extended"]
    assert card_of({"type": "batch.extended"}).title == "批次已追加 · Batch extended"


def during_the_write(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Runs `act` once the rows are written and not committed; the first time only."""
    write, left = verb_module.write_rows, [act]

    def write_then_act(*given: Any, **how: Any) -> None:
        write(*given, **how)
        if left:
            left.pop()()

    monkeypatch.setattr(verb_module, "write_rows", write_then_act)


@pytest.mark.parametrize(
    ("verb", "send", "hold", "priority"),
    [("pause", {}, "paused", "bulk"), ("priority", {"json": {"priority": "standard"}}, None, "standard")],
)
def test_steered_while_they_are_written_the_new_rows_follow(client, monkeypatch, batch, verb, send, hold, priority):
    steered: list[Any] = []
    during_the_write(monkeypatch, lambda: steered.append(client.post(batch["links"][verb], **send)))
    body = extend(client, batch, content=MANY, headers=CSV).json()
    assert [one.status_code for one in steered] == [200], "it was not kept waiting"
    assert (body["total"], body["first_row"], body["receipt"]["rows_accepted"]) == (SHORT_ORDER + 3, 3, SHORT_ORDER + 1)
    told = {(job["hold"], job["priority"]) for job in jobs_of(client, batch, status="queued")}
    assert told == {(hold, priority)}
    seqs = sorted(int(job["row"]) for job in jobs_of(client, batch))
    assert len(seqs) == 200
    assert actions(client, batch).count("batch.extended") == 1


def test_resumed_while_they_are_written_none_stays_held(client, monkeypatch, batch):
    client.post(batch["links"]["pause"])
    during_the_write(monkeypatch, lambda: client.post(batch["links"]["resume"]))
    assert extend(client, batch, content=MANY, headers=CSV).json()["status"] == "queued"
    assert {job["hold"] for job in jobs_of(client, batch)} == {None}


@pytest.mark.parametrize("end", ["cancel", "deliver"])
def test_ended_while_they_are_written_nothing_is_added(client, db, app, tenant, monkeypatch, batch, end):
    def act() -> None:
        if end == "cancel":
            client.post(batch["links"]["cancel"])
        else:
            for _ in ROWS:
                deliver_one(db, app.state.storage, tenant)
            end_batches(db)

    before = len(client.get("/api/v1/jobs").json()["data"])
    during_the_write(monkeypatch, act)
    assert problem(extend(client, batch, content=MANY, headers=CSV)) == (409, "batch_ended")
    assert len(client.get("/api/v1/jobs").json()["data"]) == before
    assert (now(client, batch)["total"], now(client, batch)["rows_refused"]) == (2, 0)
    assert actions(client, batch).count("batch.extended") == 0
    fresh = client.post(BATCHES, json=MORE).json()
    deliver_one(db, app.state.storage, tenant)
    deliver_one(db, app.state.storage, tenant)
    names = [job["asset"]["filename"] for job in jobs_of(client, fresh)]
    assert [name.removesuffix(".png")[-6:] for name in names] == ["000003", "000004"], "its numbers were given back"


def test_steered_again_and_again_it_says_come_back(client, monkeypatch, batch):
    write, steps = verb_module.write_rows, ["pause", "resume", "pause"]

    def write_then_steer(*given: Any, **how: Any) -> None:
        write(*given, **how)
        client.post(batch["links"][steps.pop(0)])

    monkeypatch.setattr(verb_module, "write_rows", write_then_steer)
    answer = extend(client, batch, content=MANY, headers=CSV)
    assert (*problem(answer), answer.json()["retryable"], steps) == (409, "request_in_flight", True, [])
    assert now(client, batch)["total"] == 2


def while_it_is_locked(monkeypatch: pytest.MonkeyPatch, dsn: str, act: Callable[[], object]) -> threading.Thread:
    """Begins `act` once the order was looked at for the last time, and goes on to the commit when `act` waits for that."""
    thread, add = threading.Thread(target=act), verb_module._add

    def begin_then_add(*given: Any) -> None:
        thread.start()
        with psycopg.connect(dsn, autocommit=True) as owner:
            until(lambda: owner.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone() is not None, 30, "it waits")
        add(*given)

    monkeypatch.setattr(verb_module, "_add", begin_then_add)
    return thread


@pytest.mark.parametrize(("verb", "field"), [("cancel", "canceled"), ("pause", "held")])
@pytest.mark.parametrize("rows", [2, SHORT_ORDER + 1])
def test_who_steers_at_the_commit_finds_the_new_rows(client, api_urls, monkeypatch, batch, verb, field, rows):
    answers: list[Any] = []
    dsn = api_urls[0].replace("+psycopg", "")
    thread = while_it_is_locked(monkeypatch, dsn, lambda: answers.append(client.post(batch["links"][verb]).json()))
    assert extend(client, batch, [{"prompt": f"cup {n}"} for n in range(rows)]).status_code == 202
    thread.join(60)
    (answer,) = answers
    assert {**answer, **answer.get("receipt", {})}[field] == rows + 2


def test_an_end_that_meets_the_commit_waits_for_the_new_rows(client, db, app, tenant, api_urls, monkeypatch, batch):
    ended: list[int] = []
    dsn = api_urls[0].replace("+psycopg", "")

    def end() -> None:
        for _ in ROWS:
            deliver_one(db, app.state.storage, tenant)
        ended.append(end_batches(db))

    thread = while_it_is_locked(monkeypatch, dsn, end)
    assert extend(client, batch, MORE).status_code == 202
    thread.join(60)
    found = now(client, batch)
    assert (len(ended), found["ended_at"], found["status"], found["counts"]["queued"]) == (1, None, "running", 2)
