"""manifest_rows: what became of each row, in its order, whatever happens beside."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest

from factory.db import Database
from factory.domain.caller import Caller
from factory.errors import BadPicture
from factory.intake.rows import read_order
from factory.jobs import manifest as module
from factory.jobs.close_job import close_job
from factory.jobs.end_attempt import RetryRules, end_attempt
from factory.jobs.find_batches import find_batch
from factory.jobs.manifest import COLUMNS, manifest_rows
from factory.jobs.prepare_retry import RetryWish, prepare_retry
from factory.jobs.retry_batch import retry_batch
from tests.integration.jobs.books import ADMISSION, NOON, finished, submit, submit_rows, take


def read(db: Database, batch_id: uuid.UUID) -> list[dict[str, Any]]:
    return [row for row, _ in manifest_rows(db, batch_id=batch_id)]


def fail_one(db: Database) -> None:
    end_attempt(db, take(db), BadPicture(), RetryRules())


def test_a_delivered_row_says_all_that_is_known(db: Database, caller: Caller) -> None:
    row = {"external_id": "r1", "sku": "S-1", "slot": "main", "locale": "zh-CN", "candidate": 2, "seed": 5, "size": "128x64"}
    batch_id = submit_rows(db, caller, [row], project="春节")
    claim = take(db)
    done = finished(claim)
    close_job(db, claim, done)
    ((told, asset),) = manifest_rows(db, batch_id=batch_id)
    assert told == {
        "row": 1,
        "external_id": "r1",
        "sku": "S-1",
        "slot": "main",
        "locale": "zh-CN",
        "candidate": 2,
        "status": "succeeded",
        "reason": None,
        "filename": f"春节_20260301_{claim.seq:06d}.png",
        "sha256": done.sha256,
        "seed": 5,
        "size": "128x64",
        "label_profile": "cn",
        "job_id": str(claim.job_id),
        "retry_of": None,
        "reused": False,
    }
    assert asset is not None
    assert asset.key == done.key
    assert {*told, "url"} == set(COLUMNS)


def test_rows_come_in_their_order_a_page_at_a_time(db: Database, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    batch_id = submit_rows(db, caller, [{"sku": f"S-{number}"} for number in range(1, 8)])
    assert [row["sku"] for row in read(db, batch_id)] == [f"S-{number}" for number in range(1, 8)]


def test_while_it_runs_each_row_is_whole(db: Database, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    batch_id = submit_rows(db, caller, [{}] * 3)
    rows = manifest_rows(db, batch_id=batch_id)
    first, _ = next(rows)
    for _ in range(3):
        claim = take(db)
        close_job(db, claim, finished(claim))
    rest = list(rows)
    assert (first["status"], first["filename"], first["sha256"]) == ("queued", None, None)
    assert [(row["status"], row["sha256"] is not None, asset is not None) for row, asset in rest] == [("succeeded", True, True)] * 2


def test_reasons_of_what_is_not_there(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}, {"prompt": "forbidden"}, {}, {}])
    fail_one(db)
    sql.execute("UPDATE jobs SET hold = 'paused' WHERE row_no = 3")
    reasons = [row["reason"] for row in read(db, batch_id)]
    assert reasons[0].startswith("bad_picture: The engine drew")
    assert reasons[1].startswith("refused: ")
    assert reasons[2:] == ["on hold: paused", None]


def found_wrong(side: str, given: int, nearest: int) -> str:
    return f"size_not_multiple_of_16: {side} {given} must be a multiple of 16; try {nearest}"


def test_a_refused_row_stands_in_its_place_in_one_line(db: Database, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 1)
    submit(db, caller, external_id="po-1", project="spring")
    # The first row's error is found last.
    rows: list[dict[str, Any]] = [{"external_id": "po-1"}, {}, {"width": 500, "height": 70}, {}, {"width": 500}]
    batch_id = submit_rows(db, caller, rows)
    lines = list(manifest_rows(db, batch_id=batch_id))
    found = [line for line, _ in lines]
    assert [line["row"] for line in found] == [1, 2, 3, 4, 5]
    assert [line["status"] for line in found] == ["refused", "queued", "refused", "queued", "refused"]
    assert [asset for _, asset in lines] == [None] * 5
    assert found[0]["reason"].startswith("external_id_taken: ")
    reasons = [found_wrong("width", 500, 496), found_wrong("height", 70, 64)]
    said = {name: value for name, value in found[2].items() if value is not None}
    assert said == {"row": 3, "status": "refused", "reason": "; ".join(reasons)}
    assert all({*line, "url"} == set(COLUMNS) for line in found)


def test_a_row_with_the_same_error_twice_says_it_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}, {"width": 500}])
    sql.execute("UPDATE batches SET row_errors = row_errors || row_errors")
    assert [line["reason"] for line in read(db, batch_id)] == [None, found_wrong("width", 500, 496)]


def test_a_retried_row_stands_there_once(db: Database, caller: Caller) -> None:
    batch_id = submit_rows(db, caller, [{"external_id": "r1"}, {}])
    fail_one(db)
    (old,) = (row["job_id"] for row in read(db, batch_id) if row["status"] == "failed")
    batch = find_batch(db, tenant=caller.tenant, name=str(batch_id)).batch
    ready = prepare_retry(db, batch, RetryWish(), ADMISSION, read_order)
    with db.transaction() as session:
        retry_batch(session, db.now(), caller, batch_id=batch_id, wish=RetryWish(), prepared=ready)
    rows = read(db, batch_id)
    assert [(row["row"], row["status"]) for row in rows] == [(1, "queued"), (2, "queued")]
    assert [row["retry_of"] for row in rows if row["retry_of"]] == [old]


def test_a_reused_picture_is_delivered_under_the_rows_own_name(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}, {}])
    claim = take(db)
    close_job(db, claim, finished(claim))
    sql.execute("UPDATE jobs SET status = 'succeeded', twin_id = %s, finished_at = %s WHERE id <> %s", (claim.job_id, NOON, claim.job_id))
    rows = read(db, batch_id)
    assert sorted(row["reused"] for row in rows) == [False, True]
    assert len({row["sha256"] for row in rows}) == 1
    assert len({row["filename"] for row in rows}) == 2


def test_a_picture_whose_retention_ended_has_a_digest_and_no_file(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    batch_id = submit_rows(db, caller, [{}])
    claim = take(db)
    close_job(db, claim, finished(claim))
    sql.execute("UPDATE assets SET deleted_at = %s", (NOON,))
    ((row, asset),) = manifest_rows(db, batch_id=batch_id)
    assert (row["status"], row["reason"], asset) == ("succeeded", "deleted on 2026-03-01: its retention has ended", None)
    assert row["sha256"] is not None
