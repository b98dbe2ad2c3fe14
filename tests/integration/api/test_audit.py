"""The log, read and exported."""

from __future__ import annotations

import csv
import io
import json

import pytest

from tests.integration.api.finishing import finish_all

AUDIT = "/api/v1/audit"


@pytest.fixture
def delivered(client, db, app, tenant):
    """Two pictures, one with a SKU and a prompt that a spreadsheet would run."""
    client.post("/api/v1/jobs", json={"prompt": '=HYPERLINK("http://x")', "sku": "S1", "user": "li", "seed": 7})
    client.post("/api/v1/jobs", json={"prompt": "保温杯", "sku": "S2"})
    finish_all(db, app.state.storage, tenant)
    return client


def test_one_record_for_each_picture_with_filters_and_pages(delivered):
    first = delivered.get(f"{AUDIT}/records", params={"limit": 1}).json()
    second = delivered.get(f"{AUDIT}/records", params={"limit": 1, "cursor": first["next_cursor"]}).json()
    assert [record["sku"] for record in first["data"] + second["data"]] == ["S2", "S1"]
    record = second["data"][0]
    assert (record["seed"], record["evaluations"], record["end_user"]) == ("7", 8, "li")
    assert len(record["asset_sha256"]) == 64
    for wanted in ({"sku": "S1"}, {"user": "li"}, {"seed": "7"}, {"job": record["job_id"]}, {"decision": record["decision"], "sku": "S1"}):
        assert [one["id"] for one in delivered.get(f"{AUDIT}/records", params=wanted).json()["data"]] == [record["id"]], wanted
    assert delivered.get(f"{AUDIT}/records", params={"until": "2020-01-01"}).json()["data"] == []


def test_events_by_action(delivered):
    found = delivered.get(f"{AUDIT}/events", params={"action": "job.succeeded"}).json()["data"]
    assert [event["sku"] for event in found] == ["S2", "S1"]
    assert {(event["was"], event["became"]) for event in found} == {("running", "succeeded")}


def test_a_filter_that_events_do_not_have_is_refused(client):
    for name in ("user", "model", "seed"):
        for path in ("/api/v1/audit/events", "/api/v1/audit/export?kind=events"):
            answer = client.get(path, params={name: "1", **({"kind": "events"} if "export" in path else {})})
            assert (answer.status_code, answer.json()["code"]) == (422, "filter_not_for_events"), (path, name)


def test_decision_of_an_event_is_blocked_or_none(client):
    client.post("/api/v1/jobs", json={"prompt": "毒品"})
    for path in ("events", "export"):
        answer = client.get(f"{AUDIT}/{path}", params={"decision": "allow", **({"kind": "events"} if path == "export" else {})})
        assert (answer.status_code, answer.json()["code"]) == (422, "filter_not_for_events")
    for path in ("events", "records"):
        both = {"decision": "blocked", "action": "job.submitted"}
        assert client.get(f"{AUDIT}/{path}", params=both).json()["data"] == []
        assert len(client.get(f"{AUDIT}/{path}", params={**both, "action": "prompt.rejected"}).json()["data"]) == 1


def test_a_filter_that_records_do_not_have_is_refused(client):
    for path in ("records", "export"):
        answer = client.get(f"{AUDIT}/{path}", params={"action": "job.submitted"})
        assert (answer.status_code, answer.json()["code"]) == (422, "filter_not_for_records")


def test_export_as_jsonl(delivered):
    answer = delivered.get(f"{AUDIT}/export")
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line)["prompt"] for line in answer.text.splitlines()] == ['=HYPERLINK("http://x")', "保温杯"]
    events = delivered.get(f"{AUDIT}/export", params={"kind": "events"}).text.splitlines()
    assert len(events) == 7


def test_export_as_csv_that_no_spreadsheet_runs(delivered):
    answer = delivered.get(f"{AUDIT}/export", params={"format": "csv"})
    assert answer.content.startswith(b"\xef\xbb\xbf")
    assert "attachment" in answer.headers["content-disposition"]
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert [row["prompt"] for row in rows] == ['\'=HYPERLINK("http://x")', "保温杯"]
    assert json.loads(rows[0]["requested"])["sku"] == "S1"


def test_an_export_of_something_else(client):
    assert client.get(f"{AUDIT}/export", params={"format": "xlsx"}).status_code == 422
    assert client.get(f"{AUDIT}/export", params={"kind": "secrets"}).status_code == 422
