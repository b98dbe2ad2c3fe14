"""expire_assets: a picture leaves when its class ends, never while somebody still gets it, and its record stays."""

from __future__ import annotations

import hashlib
import uuid
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from factory.db import Database
from factory.domain.caller import Caller
from factory.jobs import expire_assets as module
from factory.jobs.close_job import close_job
from factory.jobs.deliver import store
from factory.jobs.expire_assets import expire_assets
from factory.jobs.finish_picture import FinishedPicture
from factory.storage.folder import FolderStorage
from tests.integration.jobs.books import NOON, Clock, count, finished, submit, submit_rows, take

DAY = 86400.0


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(tmp_path / "pictures")


def deliver(db: Database, storage: FolderStorage) -> str:
    """Take the next job and deliver it; returns the key of its picture."""
    claim = take(db)
    record = finished(claim)
    content = record.key.encode()
    assert hashlib.sha256(content).hexdigest() == record.sha256
    store(FinishedPicture(claim, content, record), storage)
    close_job(db, claim, record)
    return record.key


def kept(storage: FolderStorage) -> int:
    return len(list(storage.list()))


@pytest.mark.parametrize(("retention", "days"), [("campaign", 30), ("standard", 90)])
def test_a_class_ends_on_its_day(
    retention: str, days: int, db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection, storage: FolderStorage
) -> None:
    batch_id = submit_rows(db, caller, [{}], retention=retention)
    key = deliver(db, storage)
    clock.advance(days * DAY)
    assert expire_assets(db, storage) == 0
    clock.advance(1)
    assert [expire_assets(db, storage) for _ in range(2)] == [1, 0]
    assert kept(storage) == 0
    row = sql.execute("SELECT deleted_at, key FROM assets").fetchone()
    assert row == (NOON + timedelta(days=days, seconds=1), key)
    logged = sql.execute("SELECT batch_id, actor, detail ->> 'key' FROM audit_events WHERE action = 'asset.expired'").fetchall()
    assert logged == [(batch_id, "expire_assets", key)]


@pytest.mark.parametrize("retention", ["archive", "a class of tomorrow"])
def test_what_is_kept_for_ever_is(retention: str, db: Database, clock: Clock, caller: Caller, storage: FolderStorage) -> None:
    submit_rows(db, caller, [{}], retention=retention)
    deliver(db, storage)
    clock.advance(10_000 * DAY)
    assert (expire_assets(db, storage), kept(storage)) == (0, 1)


def test_a_single_picture_is_kept_for_nobody_chose_an_end_for_it(
    db: Database, clock: Clock, caller: Caller, storage: FolderStorage
) -> None:
    submit(db, caller)
    deliver(db, storage)
    clock.advance(10_000 * DAY)
    assert (expire_assets(db, storage), kept(storage)) == (0, 1)


def again(sql: psycopg.Connection, batch_id: uuid.UUID, original: uuid.UUID, status: str, clock: Clock) -> None:
    """The one job of the batch delivers the picture of another, or waits for it."""
    sql.execute(
        "UPDATE jobs SET twin_id = %s, status = %s, hold = %s, finished_at = %s WHERE batch_id = %s",
        (original, status, "twin" if status == "queued" else None, clock() if status == "succeeded" else None, batch_id),
    )


@pytest.mark.parametrize(
    ("retention", "status", "stays"),
    [
        ("campaign", "succeeded", 30),
        ("standard", "succeeded", 90),
        ("archive", "succeeded", 100_000),
        ("campaign", "queued", 100_000),
        ("campaign", "canceled", 0),
    ],
)
def test_a_picture_that_a_later_order_delivers_again_stays_as_long_as_that(
    retention: str, status: str, stays: int, db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection, storage: FolderStorage
) -> None:
    submit_rows(db, caller, [{}], retention="campaign")
    deliver(db, storage)
    row = sql.execute("SELECT job_id FROM assets").fetchone()
    assert row is not None
    clock.advance(29 * DAY)
    again(sql, submit_rows(db, caller, [{}], retention=retention), row[0], status, clock)
    clock.advance(2 * DAY)
    assert expire_assets(db, storage) == (0 if stays else 1)
    if 0 < stays < 1000:
        clock.advance((stays - 3) * DAY)
        assert (expire_assets(db, storage), kept(storage)) == (0, 1)
        clock.advance(2 * DAY)
        assert (expire_assets(db, storage), kept(storage)) == (1, 0)
    elif stays:
        clock.advance(5000 * DAY)
        assert (expire_assets(db, storage), kept(storage)) == (0, 1)


def test_who_dies_between_object_and_record_is_followed_by_upkeep(
    db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection, storage: FolderStorage
) -> None:
    submit_rows(db, caller, [{}] * 2, retention="campaign")
    keys = [deliver(db, storage) for _ in range(2)]
    clock.advance(31 * DAY)
    storage.delete(keys[0])
    assert expire_assets(db, storage) == 2
    assert count(sql, "assets WHERE deleted_at IS NOT NULL") == 2


def test_many_go_page_by_page(
    db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection, storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    submit_rows(db, caller, [{}] * 5, retention="campaign")
    for _ in range(5):
        deliver(db, storage)
    clock.advance(31 * DAY)
    assert expire_assets(db, storage) == 5
    assert (kept(storage), count(sql, "audit_events WHERE action = 'asset.expired'")) == (0, 5)
