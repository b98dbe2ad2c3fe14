"""answer_once: however often and however fast an order is sent, it is carried out once."""

from __future__ import annotations

import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from factory.db import Database
from factory.domain.caller import Caller
from factory.errors import Conflict, Invalid
from factory.jobs.answer_once import Act, Answer, answer_once, forget_old_keys
from factory.jobs.submit_job import submit_job
from tests.integration.jobs.books import SHA, Clock, admitted, count


def ordering(caller: Caller) -> Act:
    def act(session: Session, now: ColumnElement[Any]) -> Answer:
        return Answer(202, {"id": str(submit_job(session, now, caller, admitted()))})

    return act


def test_ten_at_once_make_one_job(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    """Who comes while the first is at work hears a conflict and asks again, as a client does."""
    start = threading.Barrier(10)

    def send(_: int) -> str:
        start.wait()
        while True:
            try:
                answer = answer_once(db, tenant=caller.tenant, key="k", request_sha256=SHA, act=ordering(caller))
            except Conflict:
                continue
            return str(answer.body["id"])

    with ThreadPoolExecutor(10) as pool:
        assert len(set(pool.map(send, range(10)))) == 1
    assert (count(sql, "jobs"), count(sql, "idempotency_keys"), count(sql, "audit_events")) == (1, 1, 1)


def test_a_repeat_gets_the_stored_answer(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    answers = [answer_once(db, tenant=caller.tenant, key="k", request_sha256=SHA, act=ordering(caller)) for _ in range(3)]
    assert answers[0] == answers[1] == answers[2]
    assert [answer.replayed for answer in answers] == [False, True, True]
    assert count(sql, "jobs") == 1


def test_the_key_with_another_body_is_refused(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    answer_once(db, tenant=caller.tenant, key="k", request_sha256=SHA, act=ordering(caller))
    with pytest.raises(Invalid) as fault:
        answer_once(db, tenant=caller.tenant, key="k", request_sha256="other", act=ordering(caller))
    assert fault.value.code == "idempotency_key_reused"
    assert count(sql, "jobs") == 1


def test_keys_of_two_tenants_and_orders_without_a_key_do_not_meet(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    for tenant, key in ((caller.tenant, "k"), ("neighbour", "k"), (caller.tenant, None), (caller.tenant, None)):
        assert not answer_once(db, tenant=tenant, key=key, request_sha256=SHA, act=ordering(caller)).replayed
    assert count(sql, "jobs") == 4


def test_a_crash_inside_leaves_nothing_and_frees_the_key(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    class Crash(BaseException):
        pass

    def crash(session: Session, now: ColumnElement[Any]) -> Answer:
        ordering(caller)(session, now)
        raise Crash

    with pytest.raises(Crash):
        answer_once(db, tenant=caller.tenant, key="k", request_sha256=SHA, act=crash)
    assert (count(sql, "jobs"), count(sql, "audit_events"), count(sql, "name_counters"), count(sql, "idempotency_keys")) == (0, 0, 0, 0)
    assert not answer_once(db, tenant=caller.tenant, key="k", request_sha256=SHA, act=ordering(caller)).replayed


def test_a_second_request_hears_that_the_first_is_at_work(db: Database, caller: Caller) -> None:
    def slow(session: Session, now: ColumnElement[Any]) -> Answer:
        with pytest.raises(Conflict) as busy:
            answer_once(db, tenant=caller.tenant, key="k", request_sha256=SHA, act=ordering(caller))
        assert busy.value.code == "request_in_flight"
        return Answer(202, {"id": str(uuid.uuid4())})

    answer_once(db, tenant=caller.tenant, key="k", request_sha256=SHA, act=slow)


def test_answers_are_forgotten_after_a_day(db: Database, clock: Clock, caller: Caller) -> None:
    answer_once(db, tenant=caller.tenant, key="k", request_sha256=SHA, act=ordering(caller))
    clock.advance(24 * 3600)
    assert forget_old_keys(db) == 0
    clock.advance(1)
    assert forget_old_keys(db) == 1
