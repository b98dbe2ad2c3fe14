"""The catalogue converges: planned, applied, applied again; through kills, races and changes of mind."""

from __future__ import annotations

import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from factory.db import Database
from factory.domain.caller import Caller
from factory.domain.catalogue import Catalogue
from factory.domain.template_body import TemplateBody, TemplateVersion
from factory.errors import Invalid, Permanent
from factory.intake.rows import read_order
from factory.jobs.admit import Limits
from factory.jobs.apply_catalogue import Applied, apply_catalogue, prepare_catalogue
from factory.jobs.cancel import cancel_batch
from factory.jobs.claim_job import claim_job
from factory.jobs.close_job import close_job
from factory.jobs.end_attempt import RetryRules, end_attempt
from factory.jobs.plan_catalogue import CellState, Plan, plan_catalogue
from factory.jobs.settle_twins import settle_every_twin
from tests.integration.jobs.books import ADMISSION, LEASE, SHA, checkpoint, finished, make_tenant, take

ROWS = [{"sku": f"货号-{number}", "product": f"cup {number}"} for number in range(1, 4)]


def template(prompt: str = "{product} on white") -> TemplateVersion:
    said = {"name": "white-bg", "title": "white", "prompt": prompt, "variables": {"product": {"type": "text"}}}
    return TemplateVersion(TemplateBody.model_validate(said), 1)


BY = replace(ADMISSION, templates={"white-bg": template()}.get)


def catalogue(**said: Any) -> Catalogue:
    return Catalogue.model_validate({"name": "spring", "template": "white-bg", **said})


def plan(db: Database, caller: Caller, rows: list[Any], by: Any = BY, **said: Any) -> Plan:
    return plan_catalogue(db, tenant=caller.tenant, catalogue=catalogue(**said), rows=enumerate(rows, 1), admission=by, read=read_order)


def apply(db: Database, caller: Caller, rows: list[Any], by: Any = BY, **said: Any) -> Applied:
    asked = catalogue(**said)
    prepared = prepare_catalogue(db, tenant=caller.tenant, catalogue=asked, rows=enumerate(rows, 1), admission=by, read=read_order)
    with db.transaction() as session:
        return apply_catalogue(session, db.now(), caller, asked, prepared, request_sha256=SHA)


def draw_all(db: Database) -> int:
    drawn = 0
    while claim := claim_job(db, worker="w1", lease=LEASE):
        close_job(db, claim, finished(claim))
        drawn += 1
    settle_every_twin(db)
    return drawn


def states(found: Plan) -> dict[str, int]:
    return {state.value: count for state, count in found.counts.items() if count}


def batches(sql: psycopg.Connection) -> int:
    row = sql.execute("SELECT count(*) FROM batches").fetchone()
    assert row is not None
    return int(row[0])


def test_missing_then_in_work_then_present(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    said = {"slots": ["main", "detail"], "candidates": 2}
    before = plan(db, caller, ROWS, **said)
    assert (states(before), before.rows, before.images, before.to_render) == ({"missing": 12}, 3, 12, 12)
    assert before.gpu_seconds > 0
    assert (batches(sql), apply(db, caller, ROWS, **said).ordered) == (0, 12)
    assert states(plan(db, caller, ROWS, **said)) == {"in_work": 12}
    assert apply(db, caller, ROWS, **said) == Applied()
    assert draw_all(db) == 12
    after = plan(db, caller, ROWS, **said)
    assert (states(after), after.to_render, after.gpu_seconds, after.cells) == ({"present": 12}, 0, 0.0, [])
    assert apply(db, caller, ROWS, **said) == Applied()
    assert batches(sql) == 1


def test_the_jobs_table_names_the_cells(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    apply(db, caller, ROWS[:1], sizes=["512x256"], locales=["zh"])
    assert sql.execute("SELECT cell, sku FROM jobs").fetchall() == [("货号-1|main|512x256|zh|1", "货号-1")]
    assert sql.execute("SELECT catalogue, template, rows_accepted FROM batches").fetchall() == [("spring", "white-bg", 1)]


def test_half_of_it_ended_badly_and_the_rest_is_not_drawn_twice(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    rows = [{"sku": f"S{number}", "product": "cup"} for number in range(20)]
    first = apply(db, caller, rows)
    assert first.batch_id is not None
    for _ in range(6):
        claim = take(db)
        close_job(db, claim, finished(claim))
    for _ in range(4):
        end_attempt(db, take(db), Permanent("no"), RetryRules())
    with db.transaction() as session:
        cancel_batch(session, db.now(), tenant=caller.tenant, batch_id=first.batch_id, actor=caller.actor)
    again = plan(db, caller, rows)
    assert states(again) == {"present": 6, "missing": 14}
    assert {reason["code"] for cell in again.cells for reason in cell.why} == {"not_delivered"}
    assert apply(db, caller, rows).ordered == 14
    assert draw_all(db) == 14
    assert (plan(db, caller, rows).to_render, apply(db, caller, rows).batch_id) == (0, None)
    assert sql.execute("SELECT count(DISTINCT sku), count(*) FROM jobs WHERE status = 'succeeded'").fetchone() == (20, 20)


def test_a_process_killed_in_the_middle_leaves_all_or_nothing(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    asked = catalogue()
    prepared = prepare_catalogue(db, tenant=caller.tenant, catalogue=asked, rows=enumerate(ROWS, 1), admission=BY, read=read_order)

    def killed() -> None:
        with db.transaction() as session:
            apply_catalogue(session, db.now(), caller, asked, prepared, request_sha256=SHA)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        killed()
    assert (batches(sql), plan(db, caller, ROWS).to_render) == (0, 3)
    assert apply(db, caller, ROWS).ordered == 3


def test_many_at_once_order_it_once(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    with ThreadPoolExecutor(4) as threads:
        applied = list(threads.map(lambda _: apply(db, caller, ROWS, candidates=10), range(4)))
    assert sorted(each.ordered for each in applied) == [0, 0, 0, 30]
    assert batches(sql) == 1


def test_what_was_planned_may_be_there_when_it_is_applied(db: Database, caller: Caller) -> None:
    asked = catalogue()
    prepared = prepare_catalogue(db, tenant=caller.tenant, catalogue=asked, rows=enumerate(ROWS, 1), admission=BY, read=read_order)
    apply(db, caller, ROWS[:2])
    draw_all(db)
    with db.transaction() as session:
        assert apply_catalogue(session, db.now(), caller, asked, prepared, request_sha256=SHA).ordered == 1


@pytest.mark.parametrize("change", ["row", "template", "checkpoint"])
def test_a_change_makes_only_its_cells_stale(db: Database, caller: Caller, change: str) -> None:
    apply(db, caller, ROWS)
    draw_all(db)
    rows, by = list(ROWS), BY
    if change == "row":
        rows[1] = {**rows[1], "product": "teapot"}
    elif change == "template":
        by = replace(BY, templates={"white-bg": template("{product}, pure white background")}.get)
    else:
        newer = checkpoint("default")
        newer.sha256 = "f" * 64
        by = replace(BY, checkpoints={"default": newer})
    changed = 1 if change == "row" else 3
    found = plan(db, caller, rows, by)
    assert (found.counts[CellState.STALE], found.counts[CellState.PRESENT]) == (changed, 3 - changed)
    said = {reason["pointer"] for cell in found.cells for reason in cell.why}
    assert said == ({"/checkpoint_sha256"} if change == "checkpoint" else {"/prompt"})
    assert apply(db, caller, rows, by).ordered == changed
    assert draw_all(db) == changed
    assert plan(db, caller, rows, by).to_render == 0


def test_what_waits_and_became_stale_is_not_drawn(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    apply(db, caller, ROWS)
    begun = take(db)
    changed = [{**row, "product": "teapot"} for row in ROWS]
    applied = apply(db, caller, changed)
    assert (applied.ordered, applied.canceled) == (3, 2)
    close_job(db, begun, finished(begun))
    assert draw_all(db) == 3
    assert plan(db, caller, changed).to_render == 0


def test_a_change_that_is_taken_back_costs_nothing(db: Database, caller: Caller) -> None:
    apply(db, caller, ROWS)
    draw_all(db)
    changed = [{**row, "product": "teapot"} for row in ROWS]
    apply(db, caller, changed)
    draw_all(db)
    assert apply(db, caller, ROWS).ordered == 3
    assert draw_all(db) == 0
    assert states(plan(db, caller, ROWS)) == {"present": 3}


def test_two_catalogues_do_not_fight_over_a_product(db: Database, caller: Caller) -> None:
    apply(db, caller, ROWS)
    apply(db, caller, ROWS, name="autumn")
    draw_all(db)
    assert (plan(db, caller, ROWS).to_render, plan(db, caller, ROWS, name="autumn").to_render) == (0, 0)


def test_another_tenants_cells_are_not_ours(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    other = Caller(tenant=f"t-{uuid.uuid4().hex[:12]}", name="fk_other")
    make_tenant(sql, other.tenant)
    apply(db, other, ROWS)
    draw_all(db)
    assert states(plan(db, caller, ROWS)) == {"missing": 3}


def test_bad_rows_block_themselves_only(db: Database, caller: Caller) -> None:
    rows: list[Any] = [
        ROWS[0],
        {"product": "no sku"},
        {"sku": "货号-1", "product": "again"},
        {"sku": "a|b", "product": "cup"},
        {"sku": "nul\x00", "product": "cup"},
        {"sku": "F", "product": "forbidden cup"},
        {"sku": "G", "product": "cup", "colour": "red"},
        {"sku": "H"},
        {"sku": "I", "product": "cup", "slot": "main"},
        "text",
        Invalid("a line that is no JSON", code="malformed_json"),
    ]
    found = plan(db, caller, rows, slots=["main", "detail"])
    assert (states(found), found.rows) == ({"missing": 2, "blocked": 20}, 11)
    why = {cell.judged.row: cell.why[0]["code"] for cell in found.cells if cell.state is CellState.BLOCKED}
    assert why == {
        2: "catalogue_row_without_sku",
        3: "catalogue_sku_repeated",
        4: "invalid_value",
        5: "invalid_value",
        6: "refused",
        7: "unknown_variable",
        8: "variable_missing",
        9: "catalogue_decides",
        10: "not_an_object",
        11: "malformed_json",
    }
    assert apply(db, caller, rows, slots=["main", "detail"]).ordered == 2


def test_too_many_cells_are_counted_not_expanded(db: Database, caller: Caller) -> None:
    by = replace(BY, limits=Limits(max_rows=100))
    with pytest.raises(Invalid, match=r"600 pictures \(3 rows × 2 slots × 100 candidates\); at most 100") as refused:
        plan(db, caller, ROWS, by, slots=["main", "detail"], candidates=100)
    assert refused.value.code == "too_many_cells"
    with pytest.raises(Invalid) as empty:
        plan(db, caller, [])
    assert empty.value.code == "empty_batch"


def test_a_picture_whose_retention_ended_is_missing(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    apply(db, caller, ROWS[:1])
    draw_all(db)
    sql.execute("UPDATE assets SET deleted_at = created_at")
    (cell,) = plan(db, caller, ROWS[:1]).cells
    assert (cell.state, cell.why[0]["detail"]) == (CellState.MISSING, "its picture was deleted when its retention ended")


def test_the_list_is_short_and_the_counts_are_whole(db: Database, caller: Caller) -> None:
    rows = [{"sku": f"S{number}", "product": "cup"} for number in range(700)]
    found = plan(db, caller, rows, slots=["main", "detail"])
    assert (len(found.cells), states(found)) == (1000, {"missing": 1400})
