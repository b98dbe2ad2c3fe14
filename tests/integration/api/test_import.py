"""Catalogues as they come out of shop systems and spreadsheets, through the door and into the books."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from factory.domain.caller import Caller
from factory.domain.template_body import TemplateBody
from factory.jobs.templates import save_template
from tests.workbooks import Raw, workbook

BATCHES, MAPPINGS = "/api/v1/batches", "/api/v1/mappings"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
PICNIC = {
    "name": "picnic",
    "title": "野餐",
    "prompt": "{product}在野餐布上，{season}，{count}件",
    "variables": {
        "product": {"title": {"zh": "商品名", "en": "Product"}},
        "season": {"type": "choice", "allowed": ["春天", "秋天"], "default": "春天", "title": {"zh": "季节"}},
        "count": {"type": "integer", "default": 1, "title": {"zh": "件数"}},
    },
}


def send(client, content, kind="text/csv", **params):
    return client.post(BATCHES, params=params, content=content, headers={"Content-Type": kind})


def jobs_of(client, batch):
    return client.get(batch["links"]["jobs"]).json()["data"][::-1]


def problem(answer):
    return answer.status_code, answer.json()["code"]


@pytest.fixture
def picnic(client, db, tenant) -> str:
    save_template(db, Caller(tenant, "tests"), TemplateBody.model_validate(PICNIC))
    return "picnic@1"


def test_a_workbook_of_a_shop_system(client):
    rows: list[list[Any]] = [
        ["春季目录"],
        [],
        ["货号", "提示词*", "宽", "高"],
        [Raw("123", style=1), "红杯", 64, 64.0],
        [],
        ["S2", "蓝杯", 65, 64],
    ]
    content = workbook({"说明": [["看下一页"]], "商品": rows}, hidden=["说明"], formats=["General", "00000"])
    batch = send(client, content, XLSX).json()
    assert (batch["rows_accepted"], batch["rows_refused"]) == (1, 1)
    (error,) = batch["row_errors"]
    assert (error["row"], error["column"], error["cell"], error["pointer"]) == (3, "宽", "C6", "/width")
    (job,) = jobs_of(client, batch)
    assert (job["sku"], job["row"], job["effective"]["width"], job["effective"]["height"]) == ("00123", 1, 64, 64)
    assert client.get(batch["links"]["self"]).json()["row_errors"] == batch["row_errors"]


def test_a_workbook_in_a_form_under_any_of_its_names(client):
    content = workbook({"一": [["prompt"], ["a"]], "二": [["prompt"], ["b"], ["c"]]})
    for name in ("skus.xlsx", "SKUS.XLSM", "skus.xls"):
        answer = client.post(BATCHES, files={"file": (name, content)}, data={"sheet": "二"})
        assert (answer.status_code, answer.json()["total"]) == (202, 2)
    named_csv = send(client, content, "application/vnd.ms-excel", sheet="二")
    assert named_csv.json()["total"] == 2


def test_files_that_are_no_tables_of_this_time(client):
    old = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(2000)
    for kind in ("application/vnd.ms-excel", "text/csv", XLSX):
        assert problem(send(client, old, kind)) == (400, "xls_not_read")
    locked = old + "EncryptedPackage".encode("utf-16-le")
    assert problem(send(client, locked, XLSX)) == (400, "xlsx_encrypted")
    bomb = workbook({"s": [["prompt"]]}, more={"xl/media/zeros.bin": bytes(80_000_000)})
    assert problem(send(client, bomb, XLSX)) == (400, "xlsx_too_large")
    assert problem(send(client, workbook({"s": []}), XLSX)) == (422, "empty_batch")
    assert problem(send(client, workbook({"s": [["prompt"]]}), XLSX)) == (422, "empty_batch")
    assert problem(send(client, workbook({"s": [["prompt"], ["a"]]}), XLSX, sheet="没有")) == (422, "xlsx_sheet_missing")
    assert client.get(BATCHES).json()["data"] == []


def test_gbk_with_full_width_headers_and_semicolons(client):
    text = "ＳＫＵ；备注".replace("；", ";") + ";提示词;宽度\r\nS1;x;红色马克杯，白底;64\r\nS2;y;蓝色马克杯;70\r\n"
    batch = send(client, text.encode("gb18030")).json()
    assert [(error["row"], error["column"], error["cell"]) for error in batch["row_errors"]] == [(2, "宽度", "D3")]
    assert {warning["code"] for warning in batch["warnings"]} == {"csv_read_as_gb18030", "csv_column_ignored"}


def test_a_template_takes_its_values_from_columns_named_like_them(client, picnic):
    table = "货号,商品名,SEASON,件数,备注\nS1,保温杯,秋天,3,x\nS2,野餐垫,,,\nS3,杯,冬天,1,\nS4,,,,\n"
    batch = send(client, table.encode(), template="picnic", **{"vars.season": "春天"}).json()
    assert [(error["row"], error["code"], error.get("cell")) for error in batch["row_errors"]] == [
        (3, "variable_not_allowed", "C4"),
        (4, "variable_missing", "B5"),
    ]
    jobs = jobs_of(client, batch)
    assert [job["effective"]["prompt"] for job in jobs] == ["保温杯在野餐布上，秋天，3件", "野餐垫在野餐布上，春天，1件"]
    assert [warning["code"] for warning in batch["warnings"]] == ["csv_column_ignored"]


def test_rows_may_have_a_prompt_of_their_own_beside_a_template(client, picnic):
    rows = [{"prompt": "a"}, {"vars": {"product": "杯"}}, {"template": picnic, "vars": {"product": "垫", "season": "秋天"}}]
    batch = client.post(BATCHES, json={"rows": rows, "template": "picnic", "vars": {"count": 2}}).json()  # said after the rows
    assert [job["effective"]["prompt"] for job in jobs_of(client, batch)] == ["a", "杯在野餐布上，春天，2件", "垫在野餐布上，秋天，2件"]


def test_an_unknown_template_is_said_before_any_row_is_read(client):
    assert problem(send(client, b"product\na\n", template="no-such")) == (422, "unknown_template")


def test_a_mapping_is_said_remembered_and_used_again(client):
    table = "款号,画面,门店,备注\nS1,红杯,一店,x\n".encode()
    said = {"map.款号": "sku", "map.画面": "prompt", "map.门店": "metadata.shop", "map.备注": "-"}
    first = send(client, table, remember="spring-erp", **said)
    assert (first.status_code, first.json()["warnings"]) == (202, [])
    saved = client.get(f"{MAPPINGS}/spring-erp").json()
    assert saved["columns"] == {name.removeprefix("map."): target for name, target in said.items()}
    again = send(client, table, mapping="spring-erp").json()
    (job,) = jobs_of(client, again)
    assert (job["sku"], job["metadata"]) == ("S1", {"shop": "一店"})
    other = send(client, table, mapping="spring-erp", **{"map.门店": "campaign"}).json()
    assert jobs_of(client, other)[0]["campaign"] == "一店"
    assert client.get(f"{MAPPINGS}/spring-erp").json() == saved
    assert problem(send(client, table, mapping="no-such")) == (422, "unknown_mapping")


def test_without_one_good_row_the_warnings_are_told_too(client):
    content = "sku,提示词,备注\nS1,,x\n".encode()
    answer = send(client, content, **{"map.画面": "prompt"}).json()
    assert (answer["code"], answer["errors"][0]["cell"]) == ("no_valid_rows", "B2")
    assert [warning["code"] for warning in answer["warnings"]] == ["csv_column_ignored", "mapping_column_absent"]
    assert "warnings" not in client.post(BATCHES, json=[{}]).json()


def test_a_mapping_that_cannot_be(client):
    table = b"a,b,prompt\n1,2,c\n"
    assert problem(send(client, table, **{"map.a": "skuu"})) == (422, "mapping_unknown_field")
    twice = send(client, table, **{"map.a": "sku", "map.b": "sku"})
    assert problem(twice) == (422, "csv_duplicate_column")
    assert "(A)" in twice.json()["detail"]
    assert problem(send(client, table, remember="x")) == (422, "field_missing")
    assert problem(client.post(f"{BATCHES}?map=x", content=table, headers={"Content-Type": "text/csv"})) == (422, "unknown_field")
    assert client.get(MAPPINGS).json()["data"] == []


def test_a_refused_order_remembers_nothing(client):
    assert send(client, b"a\n\x20\n", remember="r", **{"map.a": "prompt"}).status_code == 422
    assert problem(client.get(f"{MAPPINGS}/r")) == (404, "not_found")


def test_mappings_belong_to_a_tenant_and_can_be_replaced(client, client_of):
    put = client.put(f"{MAPPINGS}/春季 ERP", json={"columns": {"款号": "sku"}})
    assert (put.status_code, put.json()["name"]) == (200, "春季 ERP")
    client.put(f"{MAPPINGS}/春季 ERP", json={"columns": {"款式": "sku", "卖点": "vars.slogan"}})
    assert [one["columns"] for one in client.get(MAPPINGS).json()["data"]] == [{"款式": "sku", "卖点": "vars.slogan"}]
    assert problem(client_of("another").get(f"{MAPPINGS}/春季 ERP")) == (404, "not_found")
    wrong: list[Any] = [{}, {"columns": {}}, {"columns": {"a": "skuu"}}, {"columns": {"a": "sku\x00"}}, [], {"columns": {"a": 1}}]
    for body in wrong:
        assert client.put(f"{MAPPINGS}/bad", content=json.dumps(body)).status_code == 422
    assert problem(client.put(f"{MAPPINGS}/bad", content=b"{")) == (400, "malformed_json")
    assert client.delete(f"{MAPPINGS}/春季 ERP").status_code == 204
    assert client.delete(f"{MAPPINGS}/春季 ERP").status_code == 404


def test_rows_that_are_objects_are_mapped_too(client):
    lines = "\n".join(json.dumps(row) for row in ({"款号": "S1", "画面": "a"}, {"款号": "../x", "画面": "b"}))
    batch = send(client, lines.encode(), "application/x-ndjson", **{"map.款号": "sku", "map.画面": "prompt"}).json()
    assert [(error["row"], error["pointer"]) for error in batch["row_errors"]] == [(2, "/sku")]
    assert jobs_of(client, batch)[0]["sku"] == "S1"


def test_when_and_how_an_order_is_drawn(client, db):
    params = {"priority": "standard", "not_before": "+8h", "deadline": "2099-01-01T00:00:00Z", "retention": "archive", "reuse": "false"}
    batch = send(client, b"prompt\na\n", **params).json()
    (job,) = jobs_of(client, batch)
    assert job["priority"] == "standard"
    with db.transaction() as session:
        row = session.connection().exec_driver_sql("SELECT retention, priority, deadline FROM batches WHERE id = %s", (batch["id"],)).one()
        held = session.connection().exec_driver_sql("SELECT hold, not_before FROM jobs WHERE id = %s", (job["id"],)).one()
    assert (row[0], row[1], row[2].year) == ("archive", "standard", 2099)
    assert held[0] == "scheduled"
    assert problem(send(client, b"prompt\na\n", retention="for-ever")) == (422, "invalid_value")
    assert problem(send(client, b"prompt\na\n", not_before="soon")) == (422, "wrong_type")


@pytest.mark.parametrize("count", [5_000, pytest.param(50_000, marks=pytest.mark.drill)])
def test_one_bad_row_of_very_many_refuses_only_itself(client, count):
    bad = random.Random(7).randrange(1, count + 1)
    lines = (b"S%d,a red mug %d,%d" % (n, n, 70 if n == bad else 64) for n in range(1, count + 1))
    batch = send(client, b"sku,prompt,width\n" + b"\n".join(lines)).json()
    assert (batch["rows_accepted"], batch["rows_refused"]) == (count - 1, 1)
    assert [(error["row"], error["cell"]) for error in batch["row_errors"]] == [(bad, f"C{bad + 1}")]
    client.post(batch["links"]["cancel"])
