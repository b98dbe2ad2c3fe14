"""Presence: which GPU processes are alive, by what they said last."""

from __future__ import annotations

import time
from datetime import timedelta

import psycopg

from factory.db import Database
from factory.jobs.worker_presence import Heartbeat, Sign, forget_silent_workers, leave, show_presence, workers_alive
from tests.integration.jobs.books import NOON, Clock

MINUTE = timedelta(seconds=60)


def alive(db: Database) -> list[tuple[str, list[str], int]]:
    with db.transaction() as session:
        return [(worker.name, worker.resident, worker.since_swap) for worker in workers_alive(session, db.now(), within=MINUTE)]


def test_a_worker_is_alive_for_as_long_as_it_says_so(db: Database, clock: Clock, sql: psycopg.Connection) -> None:
    show_presence(db, "w1", Sign([], "", 0))
    clock.advance(50)
    show_presence(db, "w1", Sign(["default", "other"], "style", 7))
    show_presence(db, "w2", Sign([], "", 0))
    clock.advance(50)
    assert alive(db) == [("w1", ["default", "other"], 7), ("w2", [], 0)]
    assert sql.execute("SELECT started_at FROM gpu_workers WHERE name = 'w1'").fetchone() == (NOON,)
    leave(db, "w2")
    assert [name for name, *_ in alive(db)] == ["w1"]
    clock.advance(11)
    assert alive(db) == []


def test_who_comes_back_after_a_long_silence_has_started_anew(db: Database, clock: Clock, sql: psycopg.Connection) -> None:
    show_presence(db, "w1", Sign([], "", 0))
    clock.advance(61)
    show_presence(db, "w1", Sign([], "", 0))
    assert sql.execute("SELECT started_at FROM gpu_workers WHERE name = 'w1'").fetchone() == (NOON + timedelta(seconds=61),)


def test_who_never_said_goodbye_is_forgotten_in_the_end(db: Database, clock: Clock) -> None:
    show_presence(db, "w1", Sign([], "", 0))
    clock.advance(3600)
    assert forget_silent_workers(db) == 0
    clock.advance(86_400)
    assert forget_silent_workers(db) == 1


def test_a_heartbeat_shows_what_changes_and_says_goodbye(db: Database) -> None:
    pictures = iter(range(1000))
    beat = Heartbeat(db, "w1", lambda: Sign(["default"], "", next(pictures)), seconds=0.01)
    ends = time.monotonic() + 60
    while time.monotonic() < ends and not any(count > 2 for _, _, count in alive(db)):
        time.sleep(0.01)
    assert alive(db)[0][:2] == ("w1", ["default"])
    beat.close()
    assert alive(db) == []
