"""However many there are of something, the statement is the same: otherwise connections and workers grow by a plan for each number."""

from __future__ import annotations

from sqlalchemy import Text, column

from factory.db import Database, among
from factory.domain.caller import Caller
from factory.domain.claim import Claim
from factory.domain.status import Phase
from factory.jobs.find_assets import known_keys
from factory.jobs.renew_leases import renew_leases
from tests.integration.jobs.books import LEASE, Clock, submit, submit_rows, take
from tests.integration.statements import texts_sent

MANY = (1, 2, 7)


def test_one_of_many_is_one_parameter() -> None:
    texts = {str(among(column("sku", Text), [str(n) for n in range(many)])) for many in (0, *MANY)}
    assert texts == {"sku = ANY (:param_1)"}
    assert str(~among(column("sku", Text), [])) == "NOT (sku = ANY (:param_1))", "not: differs from some"


def test_leases_held(db: Database, caller: Caller) -> None:
    """As many as there are pictures while the storage is away."""
    held: dict[Claim, Phase] = {}
    sent = []
    for many in MANY:
        while len(held) < many:
            submit(db, caller)
            held[take(db)] = Phase.GENERATING
        with texts_sent(db) as texts:
            assert renew_leases(db, held, LEASE) == set(held)
        sent.append(texts)
    assert sent[0] == sent[1] == sent[2]
    assert len(sent[0]) == 1


def test_leases_renewed(db: Database, clock: Clock, caller: Caller) -> None:
    """Some are due, some change their phase: still one statement."""
    submit_rows(db, caller, [{} for _ in range(max(MANY))])
    claims = [take(db) for _ in range(max(MANY))]
    with texts_sent(db) as texts:
        for many in MANY:
            clock.advance(LEASE.total_seconds() / 2)
            assert renew_leases(db, dict.fromkeys(claims[:many], Phase.FINISHING), LEASE) == set(claims[:many])
    assert len(texts) == len(MANY)
    assert len(set(texts)) == 1


def test_keys_asked_for(db: Database) -> None:
    sent = []
    for many in MANY:
        with texts_sent(db) as texts:
            assert known_keys(db, [f"acme/spring/{n}.png" for n in range(many)]) == set()
        sent.append(texts)
    assert sent[0] == sent[1] == sent[2]


def test_users_in_an_order(db: Database, caller: Caller) -> None:
    sent = []
    for many in MANY:
        rows = [{"user": f"user-{n % many}"} for n in range(max(MANY))]
        submit_rows(db, caller, rows)  # makes their shares
        with texts_sent(db) as texts:
            submit_rows(db, caller, rows)
        sent.append(texts)
    assert sent[0] == sent[1] == sent[2]
