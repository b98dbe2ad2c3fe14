"""What close_job writes, column by column, by one statement that is always the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import islice

import psycopg
import pytest
from psycopg.rows import dict_row

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.errors import LeaseLost
from factory.jobs.close_job import close_job
from factory.jobs.keys import create_key
from tests.cpu_time import cpu_seconds, least_seconds
from tests.integration.jobs.books import NOON, Clock, finished, job_row, submit, submit_rows, take
from tests.integration.statements import texts_sent

OPERATOR = Actor("operator", "test")
SECONDS = 3


def test_every_column_of_asset_record_and_event(db: Database, clock: Clock, sql: psycopg.Connection) -> None:
    key, _ = create_key(db, tenant="acme", name="shop", scopes=[], actor=OPERATOR)
    caller = Caller("acme", key.prefix, key.id, network="private")
    submit_rows(db, caller, [{"sku": "K1", "prompt": '100 % "红色"\\', "negative_prompt": "blurry % {0}", "user": "ana"}])
    claim = take(db)
    clock.advance(SECONDS)
    done = replace(finished(claim), facts={"engine": "simulated", "label": {"text": "人工智能"}}, seconds={"denoise": 0.125})
    close_job(db, claim, done)
    job, at, spec = job_row(sql, claim.job_id), NOON + timedelta(seconds=SECONDS), claim.spec
    rows = sql.cursor(row_factory=dict_row)
    asset = rows.execute("SELECT * FROM assets").fetchone()
    record = rows.execute("SELECT * FROM generations").fetchone()
    event = rows.execute("SELECT * FROM audit_events WHERE action = 'job.succeeded'").fetchone()
    assert asset
    assert record
    assert event
    assert asset.pop("id").version == record.pop("id").version == 7
    of_job = {"tenant": "acme", "batch_id": claim.batch_id, "job_id": claim.job_id, "attempt": 1}
    of_file = {"key": done.key, "sha256": done.sha256, "bytes": 3}
    assert asset == {
        **of_job,
        **of_file,
        "filename": done.filename,
        "media_type": "image/png",
        "width": spec.width,
        "height": spec.height,
        "created_at": at,
        "deleted_at": None,
    }
    assert record == {
        **of_job,
        "at": at,
        "key_id": key.id,
        "caller": key.prefix,
        "network": "private",
        "end_user": "ana",
        "sku": "K1",
        "prompt": '100 % "红色"\\',
        "negative_prompt": "blurry % {0}",
        "requested": job["requested"],
        "effective": spec.as_json(),
        "checkpoint": spec.checkpoint,
        "checkpoint_sha256": spec.checkpoint_sha256,
        "seed": str(spec.seed),
        "evaluations": 8,
        "worker": "w1",
        "facts": done.facts,
        "seconds": done.seconds,
        "policy_version": "test-1",
        "decision": "allow",
        "label_profile": "cn",
        **{f"asset_{name}": value for name, value in of_file.items()},
    }
    told = {name: event[name] for name in ("at", "actor_kind", "actor", "sku", "was", "became", "detail", *of_job)}
    assert told == {
        **of_job,
        "at": at,
        "actor_kind": "worker",
        "actor": "w1",
        "sku": "K1",
        "was": "running",
        "became": "succeeded",
        "detail": {"sha256": done.sha256, "evaluations": 8},
    }
    assert (job["status"], job["hold"], job["error"], job["finished_at"]) == ("succeeded", None, None, at)


def test_what_was_not_told_is_null(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    """By the server's own clock, too."""
    submit(db, caller)
    claim = take(db)
    db.clock = None
    close_job(db, claim, finished(claim))
    records = sql.execute("SELECT negative_prompt, sku, batch_id, end_user, network, key_id, caller, at = now() FROM generations")
    assert records.fetchone() == (None, None, None, None, None, None, "operator", False)
    assert sql.execute("SELECT now() - created_at < interval '1 minute' FROM assets").fetchone() == (True,)


def test_one_statement_and_the_same_for_each_picture(db: Database, caller: Caller) -> None:
    submit_rows(db, caller, [{"sku": "K1", "user": "ana"}, {"negative_prompt": "blurry"}])
    submit(db, caller)
    claims = [take(db) for _ in range(3)]
    with texts_sent(db) as texts:
        for claim in claims:
            close_job(db, claim, finished(claim))
        with pytest.raises(LeaseLost):
            close_job(db, claims[0], finished(claims[0]))
    assert len(texts) == len(claims) + 1
    assert len(set(texts)) == 1


def test_a_close_costs_a_worker_less_than_two_milliseconds(db: Database, caller: Caller) -> None:
    """Building its statements anew took 5 ms of CPU for each picture; sending one takes half of one."""
    submit_rows(db, caller, [{"seed": n} for n in range(200)])
    claims = [take(db) for _ in range(200)]
    rest = iter(claims)

    def close_some() -> float:
        some = [(claim, finished(claim)) for claim in islice(rest, 10)]
        assert some, "no claim is left to measure"

        def close_them() -> None:
            for claim, done in some:
                close_job(db, claim, done)

        return cpu_seconds(close_them) / len(some)

    close_some()
    assert least_seconds(close_some, below=0.002) < 0.002
