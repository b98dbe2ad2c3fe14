"""A bounded queue: how much still fits, and when to come back."""

from __future__ import annotations

import psycopg
import pytest

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.errors import QueueFull
from factory.jobs.allowances import Grant, set_allowance
from factory.jobs.close_job import close_job
from factory.jobs.require_room import Room, require_room
from factory.jobs.room import DEFAULT_MAX_QUEUED, retry_after, room_for
from tests.integration.jobs.books import Clock, finished, submit, submit_rows, take

OPERATOR = Actor("operator", "test")


def allow(db: Database, caller: Caller, most: int | None, member: str = "", running: int | None = None) -> None:
    set_allowance(db, tenant=caller.tenant, member=member, grant=Grant(max_queued=most, max_running=running), actor=OPERATOR)


def room(db: Database, caller: Caller, user: str = "", default: int = DEFAULT_MAX_QUEUED) -> int:
    with db.transaction() as session:
        return room_for(session, tenant=caller.tenant, user=user, default=default)


def wait(db: Database, caller: Caller, excess: int) -> int:
    with db.transaction() as session:
        return retry_after(session, db.now(), tenant=caller.tenant, excess=excess)


def test_everybody_has_room_and_operators_set_how_much(db: Database, caller: Caller) -> None:
    assert room(db, caller) == DEFAULT_MAX_QUEUED
    submit(db, caller)
    assert (room(db, caller), room(db, caller, default=10)) == (DEFAULT_MAX_QUEUED - 1, 9)
    allow(db, caller, 3)
    assert room(db, caller, default=10) == 2
    take(db)
    assert room(db, caller) == 3  # what is in work does not wait
    allow(db, caller, 0)
    assert room(db, caller) == 0


def test_a_user_has_a_place_where_both_have(db: Database, caller: Caller) -> None:
    allow(db, caller, 5)
    allow(db, caller, 2, "ana")
    submit_rows(db, caller, [{"seed": n, "user": "ana"} for n in range(2)])
    assert (room(db, caller), room(db, caller, "ana"), room(db, caller, "bo")) == (3, 0, 3)
    submit_rows(db, caller, [{"seed": n + 9, "user": "bo"} for n in range(3)])
    assert (room(db, caller), room(db, caller, "bo")) == (0, 0)


def test_held_rows_have_a_place_in_the_queue_too(db: Database, caller: Caller) -> None:
    allow(db, caller, 10, running=1)
    submit_rows(db, caller, [{"seed": n} for n in range(8)])
    assert room(db, caller) == 2


def test_a_full_queue_says_when_to_come_back(db: Database, caller: Caller) -> None:
    allow(db, caller, 2)
    with db.transaction() as session:
        assert require_room(session, db.now(), tenant=caller.tenant, wanted=5) == Room(2, 2)
        assert require_room(session, db.now(), tenant=caller.tenant, default=1) == Room(2, 2)
    submit(db, caller)
    submit(db, caller)
    with db.transaction() as session, pytest.raises(QueueFull, match="2 rows may wait") as full:
        require_room(session, db.now(), tenant=caller.tenant)
    assert (full.value.code, full.value.detail["retry_after"], full.value.detail["limit"]) == ("queue_full", 60, 2)
    allow(db, caller, 0)
    with db.transaction() as session, pytest.raises(QueueFull, match="ask an operator"):
        require_room(session, db.now(), tenant=caller.tenant)


def test_the_wait_follows_the_tenants_own_pictures(db: Database, clock: Clock, caller: Caller, sql: psycopg.Connection) -> None:
    assert wait(db, caller, 1) == 60
    for seed in range(30):
        submit(db, caller, seed=seed)
        claim = take(db)
        close_job(db, claim, finished(claim))
        clock.advance(1)
    assert wait(db, caller, 1) == 10  # thirty in five minutes
    assert wait(db, caller, 3) == 30
    assert wait(db, caller, 1000) == 60
    other = Caller(tenant="somebody-else", name="fk_other")
    assert wait(db, other, 1) == 60
    clock.advance(300)
    assert wait(db, caller, 1) == 60
