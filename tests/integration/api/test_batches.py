"""Many pictures in one order: every way to send them, progress, repeats, cancel."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from factory.jobs.prepare_batch import PreparedBatch
from factory.jobs.taken_ids import taken_ids
from tests.integration.api.finishing import finish_all

BATCHES = "/api/v1/batches"
CSV = {"Content-Type": "text/csv"}
ROWS = [{"prompt": "a red mug", "sku": "A-1"}, {"prompt": "蓝色杯子", "sku": "A-2", "metadata": {"shelf": "3"}}]


def jobs_of(client, batch):
    return client.get(batch["links"]["jobs"]).json()["data"]


def test_a_json_list(client, bell):
    before = bell.rung
    answer = client.post(BATCHES, params={"project": "mugs", "metadata.season": "618", "tag": ["x", "y"]}, json=ROWS)
    assert answer.status_code == 202
    batch = answer.json()
    assert (batch["status"], batch["project"], batch["total"], batch["counts"]["queued"]) == ("queued", "mugs", 2, 2)
    assert bell.rung == before + 2
    jobs = jobs_of(client, batch)
    assert [(job["sku"], job["row"], job["priority"], job["tags"]) for job in jobs] == [
        ("A-2", 2, "bulk", ["x", "y"]),
        ("A-1", 1, "bulk", ["x", "y"]),
    ]
    assert jobs[0]["metadata"] == {"season": "618", "shelf": "3"}
    got = client.get(batch["links"]["self"]).json()
    assert got == batch


def test_an_object_with_rows_says_the_rest_before_or_after_them(client):
    body = {"project": "first", "rows": ROWS, "external_id": "order-7", "campaign": "spring"}
    batch = client.post(BATCHES, json=body).json()
    assert (batch["project"], batch["external_id"], batch["campaign"]) == ("first", "order-7", "spring")
    assert client.get(f"{BATCHES}/order-7").json()["id"] == batch["id"]
    assert {job["campaign"] for job in jobs_of(client, batch)} == {"spring"}


def test_ndjson_keeps_the_good_rows_and_names_the_bad(client):
    lines = [
        b'\xef\xbb\xbf{"prompt": "a"}',
        b"",
        b"{oops",
        b'{"prompt": "b", "width": 70}',
        b"[1]",
        b'{"prompt":"' + b"x" * 1_100_000 + b'"}',
        b'{"prompt": "c"}',
    ]
    batch = client.post(BATCHES, content=b"\n".join(lines), headers={"Content-Type": "application/x-ndjson"}).json()
    assert (batch["rows_accepted"], batch["rows_refused"]) == (2, 4)
    assert [(error["row"], error["code"]) for error in batch["row_errors"]] == [
        (3, "malformed_json"),
        (4, "size_not_multiple_of_16"),
        (5, "not_an_object"),
        (6, "row_too_long"),
    ]
    assert {job["row"] for job in jobs_of(client, batch)} == {1, 7}


def test_csv_as_people_have_it(client):
    text = "\ufeffＳＫＵ,提示词,宽,高,标签,metadata.店铺,备注\nS1,红杯,64,64,红|圆,一店,x\n,,,,,,\nS2,蓝杯,65,64,,,\n../../x,绿杯,,,,,\nS4,黄杯,1,2,3,4,5,6,7,8\n"
    batch = client.post(BATCHES, content=text.encode(), headers=CSV).json()
    assert [(error["row"], error["code"], error["pointer"]) for error in batch["row_errors"]] == [
        (3, "size_not_multiple_of_16", "/width"),
        (4, "invalid_value", "/sku"),
        (5, "csv_too_many_cells", ""),
    ]
    (job,) = jobs_of(client, batch)
    assert (job["sku"], job["tags"], job["metadata"], job["effective"]["width"]) == ("S1", ["红", "圆"], {"店铺": "一店"}, 64)
    assert [warning["code"] for warning in batch["warnings"]] == ["csv_column_ignored"]
    assert "备注" in batch["warnings"][0]["detail"]


def test_a_csv_in_gbk_is_read_with_a_warning(client):
    batch = client.post(BATCHES, content="sku,提示词\nS1,红色马克杯\n".encode("gbk"), headers=CSV).json()
    assert [warning["code"] for warning in batch["warnings"]] == ["csv_read_as_gb18030"]
    assert jobs_of(client, batch)[0]["requested"]["prompt"] == "红色马克杯"


def test_a_csv_with_semicolons_or_in_utf16(client):
    for content in (b"sku;prompt\nS1;a, b\n", "sku\tprompt\nS1\ta, b\n".encode("utf-16")):
        batch = client.post(BATCHES, content=content, headers=CSV).json()
        assert jobs_of(client, batch)[0]["requested"] == {"sku": "S1", "prompt": "a, b"}


def test_a_form_with_a_file_is_the_same_order_whatever_its_boundary(client):
    def send(content=b"prompt\na\n"):
        return client.post(BATCHES, files={"file": ("skus.CSV", content)}, data={"project": "forms", "external_id": "form-1"})

    first, again, other = send(), send(), send(b"prompt\nb\n")
    assert (first.status_code, first.json()["project"]) == (202, "forms")
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert (other.status_code, other.json()["code"]) == (422, "external_id_reused")


def test_ten_at_once_with_one_key_are_one_batch(client):
    start = threading.Barrier(10)

    def send(_: int):
        start.wait()
        return client.post(BATCHES, json=ROWS * 50, headers={"Idempotency-Key": "same"})

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(send, range(10)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {"request_in_flight"}
    listed = client.get(BATCHES).json()["data"]
    assert len(listed) == 1
    assert {answer.json()["id"] for answer in answers if answer.status_code == 202} == {listed[0]["id"]}
    assert len(jobs_of(client, listed[0])) == 50
    assert client.post(BATCHES, json=ROWS * 50, headers={"Idempotency-Key": "same"}).headers["idempotent-replayed"] == "true"


def test_ten_at_once_with_one_external_id_are_one_batch(client):
    def send(number: int):
        return client.post(BATCHES, params={"external_id": "o1"}, json=ROWS, headers={"Idempotency-Key": f"k{number}"})

    with ThreadPoolExecutor(10) as threads:
        answers = list(threads.map(send, range(10)))
    assert {answer.status_code for answer in answers} <= {200, 202}
    assert [answer.status_code for answer in answers].count(202) == 1
    assert len({answer.json()["id"] for answer in answers}) == 1


def test_wait_for_a_batch_and_a_refused_row_in_it(client, db, app, tenant):
    batch = client.post(BATCHES, json=[*ROWS, {"prompt": "毒品"}]).json()
    assert (batch["counts"]["queued"], batch["counts"]["rejected"], batch["done"]) == (2, 1, 1)
    worker = threading.Timer(0.3, finish_all, (db, app.state.storage, tenant))
    worker.start()
    answer = client.get(batch["links"]["self"], headers={"Prefer": "wait=60"})
    worker.join()
    assert (answer.status_code, answer.json()["status"]) == (200, "partially_completed")
    rejected = client.get(batch["links"]["jobs"], params={"status": "rejected"}).json()["data"]
    assert [job["error"]["code"] for job in rejected] == ["refused"]


def test_a_batch_with_a_row_refused_when_ordering_is_never_completed(client, db, app, tenant):
    batch = client.post(BATCHES, json=[*ROWS, {"prompt": "a", "width": 70}]).json()
    assert (batch["status"], batch["total"], batch["rows_refused"]) == ("queued", 2, 1)
    finish_all(db, app.state.storage, tenant)
    ended = client.get(batch["links"]["self"]).json()
    assert (ended["status"], ended["counts"]["succeeded"], ended["done"]) == ("partially_completed", 2, 2)
    assert [one["status"] for one in client.get(BATCHES).json()["data"]] == ["partially_completed"]


def test_cancel_ends_what_is_left(client):
    batch = client.post(BATCHES, json=ROWS).json()
    receipt = client.post(batch["links"]["cancel"]).json()
    assert receipt["receipt"]["canceled"] == 2
    assert receipt["counts"]["canceled"] == 2
    assert client.post(batch["links"]["cancel"]).json()["receipt"]["canceled"] == 0
    first = client.get(batch["links"]["events"], params={"limit": 1}).json()
    assert first["data"][0]["action"] == "batch.canceled"
    assert len(client.get(batch["links"]["events"]).json()["data"]) == 6


def test_ids_of_rows_may_be_more_than_one_statement_has_parameters_for(client, db, tenant):
    client.post(BATCHES, json=[{"prompt": "a", "external_id": "r7"}])
    prepared = PreparedBatch()
    for number in range(1, 100_001):
        prepared.external_ids.first(f"r{number}", number)
    with db.transaction() as session:
        assert taken_ids(session, tenant, prepared) == {"r7": 7}


def test_orders_at_once_with_one_row_in_common(client):
    def send(number: int):
        return client.post(BATCHES, json=[{"prompt": "a", "external_id": "shared"}, {"prompt": f"b{number}"}])

    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(send, range(6)))
    assert {(answer.status_code, answer.json().get("code")) for answer in answers} <= {(202, None), (409, "request_in_flight")}
    assert all(answer.json()["retryable"] for answer in answers if answer.status_code == 409)
    shared = [job for job in client.get("/api/v1/jobs").json()["data"] if job["external_id"] == "shared"]
    assert len(shared) == 1


def problem(answer):
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("most", [1000, pytest.param(100_000, marks=pytest.mark.drill)])
def test_one_row_more_than_an_order_may_have(client, app, monkeypatch, most):
    usual = app.state.admission()
    assert usual.limits.max_rows == 100_000
    monkeypatch.setitem(app.state._state, "admission", lambda: replace(usual, limits=replace(usual.limits, max_rows=most)))
    many = b"prompt\n" + b"a\n" * (most + 1)
    assert problem(client.post(BATCHES, content=many, headers=CSV)) == (422, "too_many_rows")


def test_orders_that_are_none(client):
    for content, kind in (
        (b"[]", "application/json"),
        (b'{"rows": []}', "application/json"),
        (b"", "text/csv"),
        (b"prompt\n", "text/csv"),
        (b"\n", "application/x-ndjson"),
    ):
        assert problem(client.post(BATCHES, content=content, headers={"Content-Type": kind})) == (422, "empty_batch")
    missing = client.post(BATCHES, content="sku,描述\nS1,x\n".encode(), headers=CSV)
    assert problem(missing) == (422, "csv_missing_column")
    assert "sku, 描述" in missing.json()["detail"]
    none = client.post(BATCHES, json=[{"prompt": "a", "width": 1}, {}])
    assert problem(none) == (422, "no_valid_rows")
    assert [error["pointer"] for error in none.json()["errors"]] == ["/rows/1/width", "/rows/2/prompt"]
    assert client.get(BATCHES).json()["data"] == []


def test_a_body_over_the_limit_is_refused_announced_or_not(client):
    big = b"x" * (60 * 1024 * 1024)
    assert problem(client.post(BATCHES, content=big, headers=CSV)) == (413, "body_too_large")
    pieces = (big[:1_000_000] for _ in range(60))
    assert problem(client.post(BATCHES, content=pieces, headers=CSV)) == (413, "body_too_large")


def test_bodies_that_cannot_be_read(client):
    for content in (
        b"[{}",
        b"[{} {}]",
        b'{"rows": [{}]} x',
        b"7",
        b"",
        b"[NaN]",
        b'[{"prompt": "\xff"}]',
        b"[" * 200_000,
        b'[{"prompt": "' + b"x" * 1_200_000,
    ):
        assert problem(client.post(BATCHES, content=content, headers={"Content-Type": "application/json"})) == (400, "malformed_json")
    assert problem(client.post(BATCHES, content=b'prompt\n"a\n' + b"x" * 200_000, headers=CSV)) == (400, "malformed_csv")
    assert problem(client.post(BATCHES, content=b"prompt\n\xff\xff\xff\n", headers=CSV)) == (400, "csv_encoding")
    assert problem(client.post(BATCHES, content=b"prompt,Prompt\na,b\n", headers=CSV)) == (422, "csv_duplicate_column")
    assert problem(client.post(BATCHES, content=b"prompt\na\n")) == (415, "unsupported_media_type")
    assert problem(client.post(BATCHES, content=b"x", headers={"Content-Type": "multipart/form-data"})) == (400, "malformed_body")
    assert problem(client.post(BATCHES, files={"file": ("x.xlsx", b"")})) == (400, "malformed_xlsx")
    assert problem(client.post(BATCHES, files={"file": ("x.ods", b"")})) == (415, "unsupported_media_type")
    assert problem(client.post(BATCHES, files={"a": ("x.csv", b""), "b": ("y.csv", b"")})) == (422, "field_missing")


def test_what_the_order_says_of_itself_is_checked(client):
    assert problem(client.post(BATCHES, params={"projct": "x"}, json=ROWS)) == (422, "unknown_field")
    assert problem(client.post(BATCHES, params={"project": "../../x"}, json=ROWS)) == (422, "unsafe_name")
    assert problem(client.post(BATCHES, params={"external_id": "a b"}, json=ROWS)) == (422, "invalid_value")
    assert problem(client.post(BATCHES, json={"rows": ROWS, "metadata": {"x": "\x00"}})) == (422, "invalid_value")


def test_an_external_id_of_a_row_is_ordered_once(client):
    rows = [{"prompt": "a", "external_id": "r1"}, {"prompt": "b", "external_id": "r1"}, {"prompt": "c", "external_id": "r2"}]
    first = client.post(BATCHES, json=rows).json()
    assert [(error["row"], error["code"]) for error in first["row_errors"]] == [(2, "external_id_repeated")]
    second = client.post(BATCHES, content=json.dumps([rows[0], {"prompt": "d"}]), headers={"Content-Type": "application/json"}).json()
    assert [(error["row"], error["code"]) for error in second["row_errors"]] == [(1, "external_id_taken")]
    assert problem(client.post(BATCHES, json=[rows[2]])) == (422, "no_valid_rows")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'[{"prompt":"ok"},{"prompt":"a","seed":1000000000000000000000000000000}]', "application/json"),
        (b'[{"prompt":"ok"},{"prompt":"a","guidance_scale":1e308}]', "application/json"),
        (b'[{"prompt":"ok"},{"prompt":"a","seed":1e999}]', "application/json"),
        (b'[{"prompt":"ok"},{"prompt":"\\ud800"}]', "application/json"),
        (b'[{"prompt":"ok"},{"prompt":"a","tags":["\\ud800"]}]', "application/json"),
        (b'[{"prompt":"ok"},{"prompt":"a","\\ud800":1}]', "application/json"),
        (b'[{"prompt":"ok"},{"prompt":"a","metadata":' + b'{"a":' * 450 + b"1" + b"}" * 450 + b"}]", "application/json"),
        (b'{"prompt":"ok"}\n{"prompt":"a","metadata":' + b'{"a":' * 450 + b"1" + b"}" * 450 + b"}", "application/x-ndjson"),
        (b'{"prompt":"ok"}\n{"prompt":"a","width":1' + b"0" * 30 + b"}", "application/x-ndjson"),
        (b"prompt,width\nok,64\na,1" + b"0" * 30, "text/csv"),
    ],
)
def test_a_row_of_any_kind_refuses_only_itself_and_the_batch_can_be_read(client, content, kind):
    send = {"params": {"external_id": "order-7"}, "content": content, "headers": {"Content-Type": kind}}
    first, again = client.post(BATCHES, **send), client.post(BATCHES, **send)
    assert (first.status_code, again.status_code) == (202, 200)
    batch = first.json()
    assert (batch["rows_accepted"], [error["row"] for error in batch["row_errors"]]) == (1, [2])
    assert client.get(batch["links"]["self"]).json()["row_errors"] == batch["row_errors"] == again.json()["row_errors"]


def test_a_head_that_cannot_be_stored_is_refused(client):
    for head in (b'"campaign":"\\ud800"', b'"metadata":{"\\ud800":"x"}', b'"\\ud800":1', b'"tags":[1e999]'):
        content = b'{"rows":[{"prompt":"a"}],' + head + b"}"
        assert problem(client.post(BATCHES, content=content, headers={"Content-Type": "application/json"})) == (422, "invalid_value")
    assert problem(client.post(f"{BATCHES}?metadata=x&metadata.a=y", json=ROWS)) == (422, "unknown_field")
    form = {"files": {"file": ("a.csv", b"prompt\na\n")}, "data": {"metadata": "x", "metadata.a": "y"}}
    assert problem(client.post(BATCHES, **form)) == (422, "unknown_field")
    assert client.get(BATCHES).json()["data"] == []


def test_a_misspelt_name_of_the_rows_is_called_unknown(client):
    answer = client.post("/api/v1/batches", json={"project": "winter", "items": [{"prompt": "a"}]})
    assert (answer.status_code, answer.json()["code"], answer.json()["errors"][0]["pointer"]) == (422, "unknown_field", "/items")


def test_a_batchs_own_id_that_equals_another_batchs_id_hides_nothing(client):
    first = client.post(BATCHES, json=ROWS).json()
    send = {"params": {"external_id": first["id"]}, "json": ROWS}
    shadow = client.post(BATCHES, **send, headers={"Idempotency-Key": "k1"}).json()
    assert client.get(f"{BATCHES}/{first['id']}").json()["id"] == first["id"] != shadow["id"]
    assert client.post(BATCHES, **send, headers={"Idempotency-Key": "k2"}).json()["id"] == shadow["id"]
