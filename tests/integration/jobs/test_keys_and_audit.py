"""keys: only a hash is stored, and only a live key is recognised. read_audit: filters, pages, exports."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest

from factory.db import Database
from factory.domain.api_key import Scope, hash_secret
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.errors import NotFound, Unauthorized
from factory.jobs import read_audit
from factory.jobs.close_job import close_job
from factory.jobs.keys import create_key, list_keys, recognise, revoke_key
from factory.jobs.read_audit import AuditFilter, export_events, export_generations, list_events, list_generations
from tests.integration.jobs.books import NOON, Clock, count, finished, submit, submit_rows, take

OPERATOR = Actor("operator", "test")


def test_the_secret_is_shown_once_and_only_its_hash_is_kept(db: Database, sql: psycopg.Connection) -> None:
    key, secret = create_key(db, tenant="acme", name="shop", scopes=[Scope.JOBS_WRITE], actor=OPERATOR)
    dump = str(sql.execute("SELECT to_jsonb(k) FROM api_keys k").fetchall()) + str(
        sql.execute("SELECT detail FROM audit_events").fetchall()
    )
    assert secret not in dump
    assert secret[11:] not in dump
    assert hash_secret(secret) in dump
    caller = recognise(db, secret)
    assert (caller.tenant, caller.name, caller.key_id, caller.scopes) == ("acme", key.prefix, key.id, frozenset({"jobs:write"}))


def test_unknown_expired_and_revoked_keys_are_all_the_same(db: Database, clock: Clock, sql: psycopg.Connection) -> None:
    _, short = create_key(db, tenant="acme", name="short", scopes=[], actor=OPERATOR, life=timedelta(hours=1))
    revoked, gone = create_key(db, tenant="acme", name="gone", scopes=[], actor=OPERATOR)
    _, kept = create_key(db, tenant="other", name="kept", scopes=[], actor=OPERATOR)
    assert recognise(db, short).tenant == recognise(db, gone).tenant == "acme"
    clock.advance(3600)
    assert revoke_key(db, prefix=revoked.prefix, actor=OPERATOR) == 1
    for secret in (short, gone, kept[:-1], hash_secret(kept), ""):
        with pytest.raises(Unauthorized):
            recognise(db, secret)
    with pytest.raises(NotFound):
        revoke_key(db, prefix=revoked.prefix, actor=OPERATOR)
    assert recognise(db, kept).tenant == "other"
    assert [key.name for key in list_keys(db, tenant="acme")] == ["short", "gone"]
    assert count(sql, "audit_events WHERE action = 'key.revoked'") == 1


def test_generations_are_found_by_each_filter(db: Database, clock: Clock, caller: Caller) -> None:
    for sku, model, user in (("K1", "default", "ana"), ("K2", "other", "bo"), ("K3", "default", "ana")):
        submit(db, caller, sku=sku, model=model, user=user, seed=int(sku[1]))
        claim = take(db)
        close_job(db, claim, finished(claim))
        clock.advance(60)
    minute = timedelta(minutes=1)
    for wanted, skus in (
        (AuditFilter(tenant=caller.tenant), ["K3", "K2", "K1"]),
        (AuditFilter(tenant="neighbour"), []),
        (AuditFilter(sku="K2"), ["K2"]),
        (AuditFilter(user="ana", model="default"), ["K3", "K1"]),
        (AuditFilter(seed="3"), ["K3"]),
        (AuditFilter(since=NOON + minute), ["K3", "K2"]),
        (AuditFilter(until=NOON + minute), ["K1"]),
        (AuditFilter(decision="allow", key="operator"), ["K3", "K2", "K1"]),
        (AuditFilter(decision="blocked"), []),
    ):
        assert [record.sku for record in list_generations(db, wanted)] == skus
        assert [record.sku for record in export_generations(db, wanted)] == skus[::-1]


def test_pages_of_events_join_without_gap_or_double(db: Database, caller: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read_audit, "PAGE", 7)
    batch = submit_rows(db, caller, [{"prompt": "forbidden"} if n % 5 == 0 else {} for n in range(30)])
    wanted = AuditFilter(batch=batch)
    pages: list[int] = []
    while page := list_events(db, wanted, before=pages[-1] if pages else None, limit=4):
        pages += [event.id for event in page]
    exported = [event.id for event in export_events(db, wanted)]
    assert len(exported) == len(set(exported)) == 31
    assert pages == exported[::-1] == sorted(exported, reverse=True)
    assert len(list(export_events(db, AuditFilter(batch=batch, decision="blocked")))) == 6
    assert [event.action for event in list_events(db, AuditFilter(action="batch.submitted"))] == ["batch.submitted"]
