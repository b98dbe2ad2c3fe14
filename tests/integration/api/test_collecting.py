"""Manifests and archives over HTTP: what was delivered, byte for byte."""

from __future__ import annotations

import codecs
import csv
import hashlib
import io
import json
import zipfile

import pytest

from factory.storage import object_key
from tests.integration.api.ending import deliver_one, fail_one

BATCHES = "/api/v1/batches"
ROWS = [{"prompt": f"杯子 {number}", "sku": f"S-{number}", "external_id": f"row-{number}"} for number in range(1, 5)]


@pytest.fixture
def storage(app):
    return app.state.storage


def order(client, rows=ROWS, **head):
    return client.post(BATCHES, params={"project": "春节主图", **head}, json=rows).json()


def collect(client, batch, what, **params):
    return client.get(f"{BATCHES}/{batch['id']}/{what}", params=params)


def csv_rows(content: bytes):
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def opened(answer):
    read = zipfile.ZipFile(io.BytesIO(answer.content))
    assert read.testzip() is None
    return read


def test_the_manifest_joins_back_on_external_id_while_the_batch_runs(client, db, storage, tenant):
    batch = order(client)
    done, failed = deliver_one(db, storage, tenant), fail_one(db, storage, tenant)
    answer = collect(client, batch, "manifest.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert f"manifest-{batch['id']}.csv" in answer.headers["content-disposition"]
    rows = {row["job_id"]: row for row in csv_rows(answer.content)}
    assert [row["external_id"] for row in csv_rows(answer.content)] == [f"row-{number}" for number in range(1, 5)]
    good, bad = rows[str(done.job_id)], rows[str(failed.job_id)]
    assert (good["status"], good["filename"].startswith("春节主图_"), good["reason"]) == ("succeeded", True, "")
    assert client.get(good["url"], follow_redirects=False).status_code == 307
    assert (bad["status"], bad["url"], bad["sha256"]) == ("failed", "", "")
    assert bad["reason"].startswith("bad_picture: ")
    assert sorted(row["status"] for row in rows.values()) == ["failed", "queued", "queued", "succeeded"]


def test_jsonl_and_links_that_anybody_may_open(client, db, storage, tenant):
    order(client, ROWS[:1], external_id="order:7")
    deliver_one(db, storage, tenant)
    answer = client.get(f"{BATCHES}/order:7/manifest.jsonl", params={"seconds": 60})
    assert "manifest-order-7.jsonl" in answer.headers["content-disposition"]
    (row,) = map(json.loads, answer.text.splitlines())
    assert (row["row"], row["reused"], row["sku"], row["size"]) == (1, False, "S-1", "1024x1024")
    picture = client.get(row["url"], headers={"Authorization": ""})
    assert hashlib.sha256(picture.content).hexdigest() == row["sha256"]


def test_rows_refused_when_ordering_stand_in_every_manifest(client, db, storage, tenant):
    table = "货号,提示词,宽,高\nS-1,红杯,65,70\nS-2,蓝杯,64,64\n../../x,绿杯,,\n"
    batch = client.post(BATCHES, content=table.encode(), headers={"Content-Type": "text/csv"}).json()
    assert (batch["rows_accepted"], batch["rows_refused"]) == (1, 2)
    deliver_one(db, storage, tenant)
    rows = csv_rows(collect(client, batch, "manifest.csv").content)
    assert [(row["row"], row["sku"], row["status"]) for row in rows if row["sku"]] == [("2", "S-2", "succeeded")]
    assert [(row["row"], row["status"]) for row in rows[::2]] == [("1", "refused"), ("3", "refused")]
    width = "size_not_multiple_of_16: width 65 must be a multiple of 16; try 64 (column 宽, cell C2)"
    height = "size_not_multiple_of_16: height 70 must be a multiple of 16; try 64 (column 高, cell D2)"
    assert {name: value for name, value in rows[0].items() if value} == {"row": "1", "status": "refused", "reason": f"{width}; {height}"}
    lines = [json.loads(line) for line in collect(client, batch, "manifest.jsonl").text.splitlines()]
    assert [(line["row"], line["status"]) for line in lines] == [(1, "refused"), (2, "succeeded"), (3, "refused")]
    assert {name for name, value in lines[2].items() if value is not None} == {"row", "status", "reason"}
    assert (lines[2]["reason"].split(":")[0], lines[2]["reason"].endswith("(column 货号, cell A4)")) == ("invalid_value", True)
    read = opened(collect(client, batch, "archive.zip"))
    assert read.namelist() == [rows[1]["filename"], "manifest.csv"]
    assert csv_rows(read.read("manifest.csv")) == rows


def test_a_mark_for_excel_only_when_asked(client):
    batch = order(client)
    assert not collect(client, batch, "manifest.csv").content.startswith(codecs.BOM_UTF8)
    marked = collect(client, batch, "manifest.csv", bom=1).content
    assert marked.startswith(codecs.BOM_UTF8 + b"row,external_id")
    assert marked.count(codecs.BOM_UTF8) == 1


def test_no_cell_is_taken_for_a_formula(client, db, storage, tenant):
    batch = order(client, ROWS[:1], project="=1+1")
    deliver_one(db, storage, tenant)
    (row,) = csv_rows(collect(client, batch, "manifest.csv").content)
    assert row["filename"].startswith("'=1+1_")
    assert opened(collect(client, batch, "archive.zip")).namelist()[0].startswith("=1+1_")


def test_the_archive_holds_every_picture_of_the_manifest(client, db, storage, tenant):
    batch = order(client)
    for _ in range(3):
        deliver_one(db, storage, tenant)
    answer = collect(client, batch, "archive.zip")
    assert answer.headers["content-type"] == "application/zip"
    read = opened(answer)
    rows = csv_rows(read.read("manifest.csv"))
    wanted = {row["filename"]: row["sha256"] for row in rows if row["filename"]}
    assert len(wanted) == 3
    assert all(name.startswith("春节主图_") for name in wanted)
    assert read.namelist() == [*wanted, "manifest.csv"]
    assert {name: hashlib.sha256(read.read(name)).hexdigest() for name in wanted} == wanted
    assert [row["sku"] for row in rows] == [row["sku"] for row in ROWS]


def test_a_picture_that_cannot_be_read_is_named_and_the_stream_goes_on(client, db, storage, tenant):
    batch = order(client, ROWS[:2])
    claims = [deliver_one(db, storage, tenant) for _ in range(2)]
    lost = claims[0]
    storage.delete(object_key(lost.tenant, lost.project, lost.day, lost.seq, lost.attempt))
    read = opened(collect(client, batch, "archive.zip"))
    rows = {row["job_id"]: row for row in csv_rows(read.read("manifest.csv"))}
    assert read.namelist() == [rows[str(claims[1].job_id)]["filename"], "manifest.csv", "errors.txt"]
    assert read.read("errors.txt").decode().startswith(rows[str(lost.job_id)]["filename"] + ": not_found")


def test_nobody_collects_for_another_tenant(client, client_of):
    batch = order(client)
    neighbour = client_of("t-neighbour-who-collects")
    for what in ("manifest.csv", "manifest.jsonl", "archive.zip"):
        answer = collect(neighbour, batch, what)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert collect(client, batch, "manifest.csv", seconds=0).status_code == 422
