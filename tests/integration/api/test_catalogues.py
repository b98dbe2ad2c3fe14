"""Catalogues and quotes over HTTP and from the terminal's side: planned, applied once, and priced, in every way to send them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from factory.domain.api_key import Scope
from factory.domain.plain_yaml import LONGEST
from factory.jobs.find_jobs import JobFilter, list_jobs
from factory.jobs.settle_twins import settle_every_twin
from tests.integration.api.finishing import finish_one

PLAN, APPLY, QUOTES = "/api/v1/catalogues/plan", "/api/v1/catalogues/apply", "/api/v1/quotes"
YAML = {"Content-Type": "application/yaml"}
TEMPLATE = """
name: white
title: {zh: 白底, en: White}
prompt: "{product}, {mood} on white"
variables:
  product: {title: 商品名称, example: 杯子}
  mood: {default: calm}
"""
INLINE = """
name: 春季
template: white
slots: [main, detail]
sizes: [512x512]
rows:
  - {sku: 00123, product: 保温杯}
  - {sku: A-2, product: teapot, mood: gay}
"""
HEAD = "name: 春季\ntemplate: white\nrows: skus.csv\nslots: [main]\n"
CSV = "货号,商品名称,备注\nA-1,保温杯,x\nA-2,茶壶,y\n"


def deliver(db, storage, tenant: str) -> None:
    """Draw what this tenant has waiting, and give its twins their pictures."""
    while any(found.job.hold is None for found in list_jobs(db, tenant=tenant, wanted=JobFilter(status=("queued",)), limit=200)):
        finish_one(db, storage)
    settle_every_twin(db)


@pytest.fixture(autouse=True)
def template(client) -> None:
    assert client.post("/api/v1/templates", content=TEMPLATE.encode(), headers=YAML).status_code == 201


def sent(client, to: str, text: str = INLINE, **params: Any):
    return client.post(to, content=text.encode(), headers=YAML, params=params)


def form(client, to: str, head: str = HEAD, rows: bytes = CSV.encode(), name: str = "skus.csv"):
    return client.post(to, files={"catalogue": ("catalog.yaml", head.encode()), "rows": (name, rows)})


def counts(answer) -> dict[str, int]:
    return {state: number for state, number in answer.json()["counts"].items() if number}


def audit(client) -> list[str]:
    answer = client.get("/api/v1/audit/events", params={"limit": 200})
    assert answer.status_code == 200
    return [event["action"] for event in answer.json()["data"]]


def test_a_catalogue_is_planned_applied_and_then_done(client, app, db, tenant, bell):
    found = sent(client, PLAN)
    assert (found.status_code, found.json()["images"], found.json()["rows"], found.json()["to_render"]) == (200, 4, 2, 4)
    assert [cell["cell"] for cell in found.json()["cells"]][:2] == ["00123|main|512x512||1", "00123|detail|512x512||1"]
    before = bell.rung
    applied = sent(client, APPLY)
    body = applied.json()
    assert (applied.status_code, body["ordered"], body["batch"]["counts"]["queued"]) == (202, 4, 4)
    assert applied.headers["location"] == body["batch"]["links"]["self"]
    assert bell.rung == before + 4
    assert counts(sent(client, PLAN)) == {"in_work": 4}
    again = sent(client, APPLY)
    assert (again.status_code, again.json()["ordered"], again.json()["batch"]) == (200, 0, None)
    deliver(db, app.state.storage, tenant)
    assert counts(sent(client, PLAN)) == {"present": 4}
    assert client.get("/api/v1/jobs", params={"sku": "00123"}).json()["data"][0]["effective"]["prompt"] == "保温杯, calm on white"


def test_a_form_of_a_catalogue_and_a_file_of_rows(client):
    answer = form(client, PLAN)
    assert counts(answer) == {"missing": 2}
    assert [warning["code"] for warning in answer.json()["warnings"]] == ["csv_column_ignored"]
    assert form(client, APPLY, rows=CSV.encode("gbk")).json()["ordered"] == 2
    lines = b'{"sku": "A-1", "product": "\xe4\xbf\x9d\xe6\xb8\xa9\xe6\x9d\xaf"}\n'
    assert counts(form(client, PLAN, rows=lines, name="skus.jsonl")) == {"in_work": 1}


def test_columns_mean_what_the_catalogue_says(client):
    head = HEAD + "map: {编码: sku, 品名: vars.product}\n"
    assert counts(form(client, PLAN, head=head, rows="编码,品名\nA-1,杯\n".encode())) == {"missing": 1}


def test_json_is_the_same_as_yaml(client):
    body = {"name": "春季", "template": "white", "slots": ["main"], "rows": [{"sku": "A", "product": "cup"}]}
    assert counts(client.post(PLAN, json=body)) == {"missing": 1}


def test_the_same_key_applies_once_and_gets_the_same_answer(client):
    once = {"Idempotency-Key": "apply-1", **YAML}
    first = client.post(APPLY, content=INLINE.encode(), headers=once)
    again = client.post(APPLY, content=INLINE.encode(), headers=once)
    assert (first.status_code, again.status_code) == (202, 202)
    assert again.json() == first.json()
    assert again.headers["idempotent-replayed"] == "true"


def test_blocked_cells_are_listed_and_the_rest_is_ordered(client):
    text = INLINE + "  - {product: nameless}\n  - {sku: B, product: cup, colour: red}\n"
    answer = sent(client, APPLY, text)
    assert (answer.json()["ordered"], answer.json()["counts"]["blocked"]) == (4, 4)
    blocked = [cell for cell in answer.json()["cells"] if cell["state"] == "blocked"]
    assert [(cell["row"], cell["cells"], cell["why"][0]["code"]) for cell in blocked] == [
        (3, 2, "catalogue_row_without_sku"),
        (4, 1, "unknown_variable"),
        (4, 1, "unknown_variable"),
    ]


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        ("name: a\nrows: &r [1]\nslots: *r\n", "malformed_yaml", "aliases"),
        ("name: a\nname: b\nrows: []\n", "malformed_yaml", "given twice"),
        ("- a\n", "not_an_object", "an object with fields"),
        ("name: a\n", "field_missing", "rows are missing"),
        ("name: a\nrows: skus.csv\n", "field_missing", "-F rows=@"),
        ("name: a\nrows: []\n", "empty_batch", "no rows"),
        ("name: a\nrows: [{sku: A, prompt: x}]\ncandidates: 0\n", "invalid_value", "candidates"),
        ("name: a\nrows: [{sku: A, prompt: x}]\nsizes: [big]\n", "invalid_value", "1024x768"),
        ("name: a\nrows: [{sku: A, prompt: x}]\ncolour: red\n", "unknown_field", "colour"),
        ("name: a\nrows: [{sku: A, prompt: x}]\nproject: a/b\n", "unsafe_name", ""),
        ("name: a\nrows: [{sku: A, prompt: x}]\nretention: ever\n", "invalid_value", "retention"),
        (
            "name: a\nrows: [{sku: A, prompt: x}]\nslots: [a, b]\nsizes: [64x64]\ncombine: zip\n",
            "invalid_value",
            "slots has 2, sizes has 1",
        ),
    ],
)
def test_what_is_wrong_is_named(client, text, code, says):
    answer = sent(client, PLAN, text)
    assert answer.status_code == 422
    assert answer.json()["code"] == code
    assert says in json.dumps(answer.json(), ensure_ascii=False)


def test_unknown_slots_template_blocks_its_cells_only(client):
    text = INLINE.replace("[main, detail]", "{main: , detail: {template: no-such}}")
    answer = sent(client, PLAN, text)
    assert counts(answer) == {"missing": 2, "blocked": 2}
    assert answer.json()["cells"][-1]["why"][0]["code"] == "unknown_template"


def test_parts_of_a_form_that_nobody_knows_or_that_are_missing(client):
    file = {"file": ("a.csv", b"sku\n")}
    assert client.post(PLAN, files=file).json()["code"] == "unknown_field"
    assert client.post(PLAN, files={"rows": ("a.csv", b"sku\n")}).json()["code"] == "field_missing"
    both = {"catalogue": ("c.yaml", INLINE.encode()), "rows": ("a.csv", CSV.encode())}
    assert client.post(PLAN, files=both).json()["code"] == "field_missing"
    assert client.post(PLAN, content=b"x", headers={"Content-Type": "text/html"}).status_code == 415


def test_only_those_who_may_order_may_plan(client_of, make_key, tenant):
    reader = {"Authorization": f"Bearer {make_key(tenant, Scope.JOBS_READ)}"}
    client = client_of(tenant)
    for path in (PLAN, APPLY):
        assert client.post(path, content=INLINE.encode(), headers=YAML | reader).status_code == 403
    assert client.post(QUOTES, json=[{"prompt": "a"}], headers=reader).status_code == 403


def test_another_tenants_catalogue_of_the_same_name_is_another(client, client_of, tenant):
    sent(client, APPLY)
    stranger = client_of(f"{tenant[:40]}-x")
    assert stranger.post("/api/v1/templates", content=TEMPLATE.encode(), headers=YAML).status_code == 201
    assert counts(sent(stranger, PLAN)) == {"missing": 4}


def test_equal_rows_are_reused_and_the_reply_says_so(client, app, db, tenant):
    rows = [{"prompt": "a cup", "seed": 1}, {"prompt": "a cup", "seed": 1}, {"prompt": "a pot", "seed": 1}]
    first = client.post("/api/v1/batches", json=rows).json()
    assert first["reused"] == 1
    deliver(db, app.state.storage, tenant)
    again = client.post("/api/v1/batches", json=rows).json()
    assert (again["reused"], again["counts"]["succeeded"], again["status"]) == (3, 3, "completed")
    assert again["gpu_seconds_saved"] > 0
    delivered = client.get(again["links"]["jobs"]).json()["data"]
    assert len({job["asset"]["id"] for job in delivered}) == 2
    anew = client.post("/api/v1/batches", params={"reuse": "false"}, json=rows).json()
    assert (anew["reused"], anew["counts"]["queued"]) == (0, 3)


def test_a_quote_orders_nothing(client):
    rows = [{"prompt": "a cup", "seed": 1}, {"prompt": "a cup", "seed": 1}, {"prompt": "x", "width": 7}]
    answer = client.post(QUOTES, json=rows)
    body = answer.json()
    assert answer.status_code == 200
    assert (body["images"], body["to_draw"], body["duplicates"], body["rows_blocked"]) == (2, 1, 1, 1)
    assert (body["blocked"][0]["row"], body["blocked"][0]["code"]) == (3, "size_out_of_range")
    assert body["gpu_seconds"] > 0
    assert body["cost"] >= 0
    assert body["currency"] == "CNY"
    assert (body["finish"] is None) == (body["workers"] == 0) == (body["finish_unknown"] is not None)
    assert client.get("/api/v1/jobs").json()["data"] == []


def test_plans_and_quotes_save_no_template_of_the_market_and_orders_do(client):
    text = "name: market\ntemplate: white-bg\nrows: [{sku: A, product: cup}]\n"
    before = audit(client)
    assert counts(sent(client, PLAN, text)) == {"missing": 1}
    rows = [{"sku": "A", "vars": {"product": "cup"}}]
    assert client.post(QUOTES, json=rows, params={"template": "white-bg"}).json()["images"] == 1
    assert audit(client) == before
    assert [row["name"] for row in client.get("/api/v1/templates").json()["data"]] == ["white"]
    assert sent(client, APPLY, text).json()["ordered"] == 1
    assert {row["name"] for row in client.get("/api/v1/templates").json()["data"]} == {"white", "white-bg"}


def test_a_quote_takes_what_an_order_takes(client):
    rows = "货号,商品名称\nA-1,杯\nA-2,壶\n".encode("gbk")
    answer = client.post(QUOTES, content=rows, headers={"Content-Type": "text/csv"}, params={"template": "white", "deadline": "+2d"})
    assert (answer.status_code, answer.json()["images"]) == (200, 2)
    assert answer.json()["deadline"] is not None
    assert client.post(QUOTES, json=[]).json()["code"] == "empty_batch"
    assert client.post(QUOTES, json=[{"prompt": "a"}], params={"colour": "red"}).json()["code"] == "unknown_field"


EQUAL = """
name: 春季
template: white
slots: [main, detail]
sizes: [512x512]
deadline: +2d
rows:
  - {sku: A, product: cup, seed: 7}
  - {sku: B, product: pot}
  - {product: nameless}
"""


def test_a_plan_brings_a_quote_of_what_an_apply_would_order(client, app, db, tenant):
    found = sent(client, PLAN, EQUAL).json()
    quote = found["quote"]
    assert counts(sent(client, PLAN, EQUAL)) == {"missing": 4, "blocked": 2}
    assert (quote["images"], quote["to_draw"], quote["duplicates"], quote["reused"], quote["rows_blocked"]) == (4, 3, 1, 0, 2)
    assert [(one["row"], one["code"]) for one in quote["blocked"]] == [(3, "catalogue_row_without_sku")]
    assert found["gpu_seconds"] == quote["gpu_seconds"] == pytest.approx(3 * quote["gpu_seconds_saved"], abs=0.01)
    assert quote["cost"] == round(quote["gpu_seconds"] / 3600 * quote["per_gpu_hour"], 2)
    assert (quote["finish"] is None) == (quote["workers"] == 0) == (quote["finish_unknown"] is not None)
    assert quote["deadline"] is not None
    assert (quote["deadline_kept"] is None) == (quote["finish"] is None)
    assert client.get("/api/v1/jobs").json()["data"] == []

    applied = sent(client, APPLY, EQUAL).json()
    assert (applied["ordered"], applied["reused"]) == (4, 1)
    assert applied["gpu_seconds"] == pytest.approx(quote["gpu_seconds"], abs=0.01)
    other = sent(client, PLAN, EQUAL.replace("春季", "夏季")).json()["quote"]
    assert (other["images"], other["to_draw"], other["reused"]) == (4, 2, 2)
    deliver(db, app.state.storage, tenant)
    done = sent(client, PLAN, EQUAL).json()
    assert (done["counts"]["present"], done["to_render"], done["gpu_seconds"], done["quote"]) == (4, 0, 0.0, None)


def test_a_quote_of_a_plan_is_of_what_is_lacking_still(client):
    assert sent(client, APPLY).json()["ordered"] == 4
    grown = sent(client, PLAN, INLINE + "  - {sku: B, product: pan}\n").json()
    assert (grown["images"], grown["to_render"], grown["quote"]["images"]) == (6, 2, 2)


@pytest.mark.parametrize("media_type", ["application/json", "application/yaml"])
def test_a_catalogue_is_short_and_the_rows_beside_it_may_be_many(client, media_type):
    large = json.dumps({"name": "春季", "template": "white", "rows": [{"sku": "A", "product": "x" * LONGEST}]}).encode()
    for answer in (
        client.post(PLAN, content=large, headers={"Content-Type": media_type}),
        client.post(PLAN, files={"catalogue": ("c.json" if media_type == "application/json" else "c.yaml", large)}),
    ):
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
        (error,) = answer.json()["errors"]
        assert (error["pointer"], error["value"]) == ("/rows", len(large))
        assert "a file beside it" in answer.json()["detail"]
    rows = CSV.splitlines()[0] + "\n" + "".join(f"A-{number},杯,{'x' * 100_000}\n" for number in range(50))
    assert len(rows) > LONGEST
    assert counts(form(client, PLAN, rows=rows.encode())) == {"missing": 50}
