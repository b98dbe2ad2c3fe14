"""Templates and LoRAs in the database: versions that never change, one tenant's own, and orders by them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from factory.db import Database
from factory.domain.audit_event import Actor
from factory.domain.caller import Caller
from factory.domain.job_order import JobOrder
from factory.domain.template_body import TemplateBody
from factory.errors import Invalid, NotFound
from factory.jobs.admit import admit
from factory.jobs.loras import list_loras, register_lora
from factory.jobs.templates import find_template, list_templates, list_versions, save_template, template_finder, version_of
from factory.market import load_market, market_template
from tests.integration.jobs.books import ADMISSION, NOON, Clock, count, make_tenant

GOOD: dict[str, Any] = {"name": "kettle", "title": "水壶", "prompt": "{颜色}水壶", "variables": {"颜色": {"example": "红色"}}}


def body(**changes: Any) -> TemplateBody:
    return TemplateBody.model_validate({**GOOD, **changes})


def save(db: Database, caller: Caller, **changes: Any) -> tuple[int, bool]:
    saved = save_template(db, caller, body(**changes))
    return saved.row.version, saved.is_new


@pytest.fixture
def neighbour(sql: psycopg.Connection) -> Caller:
    make_tenant(sql, "neighbour")
    return Caller(tenant="neighbour", name="fk_other")


def test_saving_makes_versions_and_the_same_again_makes_none(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    assert save(db, caller) == (1, True)
    assert save(db, caller) == (1, False)
    assert save(db, caller, size="64x64") == (2, True)
    assert save(db, caller) == (3, True), "the first body again is the newest now"
    assert sql.execute("SELECT version, created_at FROM templates ORDER BY version").fetchall() == [(1, NOON), (2, NOON), (3, NOON)]
    events = sql.execute("SELECT actor, detail->>'template' FROM audit_events WHERE action = 'template.saved' ORDER BY id").fetchall()
    assert events == [("fk_testkey", f"kettle@{n}") for n in (1, 2, 3)]


def test_a_version_is_what_was_saved_and_a_name_is_its_newest(db: Database, caller: Caller) -> None:
    save(db, caller)
    save(db, caller, size="64x64")
    assert version_of(find_template(db, tenant=caller.tenant, reference="kettle@1")).body == body()
    newest = version_of(find_template(db, tenant=caller.tenant, reference="kettle"))
    assert (newest.reference, newest.body) == ("kettle@2", body(size="64x64"))
    assert [row.version for row in list_versions(db, tenant=caller.tenant, name="kettle")] == [2, 1]


@pytest.mark.parametrize(
    "reference", ["kettle@0", "kettle@2", "kettle@-1", "kettle@1000000000000", "kettle@", "kettle@x", "kettl", "@1", "kettle@１"]
)
def test_what_was_never_saved_is_not_found(db: Database, caller: Caller, reference: str) -> None:
    save(db, caller)
    with pytest.raises(NotFound, match="no template"):
        find_template(db, tenant=caller.tenant, reference=reference)
    assert template_finder(db, caller)(reference) is None


def test_one_tenants_templates_are_nobody_elses(db: Database, caller: Caller, neighbour: Caller) -> None:
    save(db, caller)
    for reference in ("kettle", "kettle@1"):
        with pytest.raises(NotFound):
            find_template(db, tenant=neighbour.tenant, reference=reference)
        assert template_finder(db, neighbour)(reference) is None
    assert list_templates(db, tenant=neighbour.tenant) == []
    with pytest.raises(NotFound):
        list_versions(db, tenant=neighbour.tenant, name="kettle")
    assert save(db, neighbour, size="64x64") == (1, True)


def test_a_list_has_the_newest_of_each_page_after_page(db: Database, caller: Caller) -> None:
    for name in ("a", "b", "c"):
        save(db, caller, name=name)
    save(db, caller, name="a", size="64x64")
    first = list_templates(db, tenant=caller.tenant, limit=2)
    assert [(row.name, row.version) for row in first] == [("a", 2), ("c", 1)]
    rest = list_templates(db, tenant=caller.tenant, limit=2, before=first[-1].id)
    assert [(row.name, row.version) for row in rest] == [("b", 1)]


def test_what_cannot_work_is_not_saved(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    with pytest.raises(Invalid) as refusal:
        save_template(db, caller, body(prompt="{form}", size="60x64"))
    assert {problem.pointer for problem in refusal.value.problems} == {"/prompt", "/width"}
    assert count(sql, "templates") == 0


def test_many_who_save_at_once_get_numbers_of_their_own(db: Database, caller: Caller) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda n: save(db, caller, category=f"c{n}"), range(16)))
    assert sorted(made) == [(n, True) for n in range(1, 17)]
    with ThreadPoolExecutor(8) as pool:
        same = set(pool.map(lambda _: save(db, caller, category="one"), range(16)))
    assert same == {(17, True), (17, False)}


def test_a_reference_is_looked_up_once_for_all_rows(db: Database, caller: Caller) -> None:
    save(db, caller)
    find = template_finder(db, caller)
    assert find("kettle") is find("kettle")
    save(db, caller, size="64x64")
    before, after = find("kettle"), template_finder(db, caller)("kettle")
    assert before is not None
    assert after is not None
    assert (before.version, after.version) == (1, 2), "a request sees one version throughout"


def test_a_market_template_becomes_the_tenants_own_when_it_is_named_first(
    db: Database, caller: Caller, neighbour: Caller, sql: psycopg.Connection
) -> None:
    for reference in ("white-bg@1", "white-bg"):
        found = template_finder(db, caller)(reference)
        assert found is not None
        assert (found.reference, found.body) == ("white-bg@1", market_template("white-bg"))
    assert sql.execute("SELECT tenant, name, version FROM templates").fetchall() == [(caller.tenant, "white-bg", 1)]
    assert template_finder(db, caller)("white-bg@2") is None
    own = save_template(db, neighbour, body(name="white-bg"))
    mine = template_finder(db, neighbour)("white-bg")
    assert mine is not None
    assert mine.body == version_of(own.row).body, "what a tenant calls so itself comes first"


def test_who_only_asks_finds_the_market_and_writes_nothing(db: Database, caller: Caller, sql: psycopg.Connection) -> None:
    find = template_finder(db, caller, keep=False)
    for reference in ("white-bg", "white-bg@1"):
        found = find(reference)
        assert found is not None
        assert (found.reference, found.body) == ("white-bg@1", market_template("white-bg"))
    assert find("white-bg@2") is None
    assert (count(sql, "templates"), count(sql, "audit_events")) == (0, 0)
    save(db, caller, name="white-bg")
    mine = template_finder(db, caller, keep=False)("white-bg")
    assert mine is not None
    assert mine.body == body(name="white-bg"), "what a tenant calls so itself comes first"


def test_every_market_template_can_be_ordered_by_its_example(db: Database, caller: Caller) -> None:
    from factory.domain.fill_template import example_vars

    for name in ("sketch", "night"):
        register_lora(db, name=name, sha256=name[0] * 64, size=1, actor=Actor("operator", "tests"))
    admission = replace(ADMISSION, templates=template_finder(db, caller), loras=list_loras(db))
    for market in load_market():
        found = admit(JobOrder(template=market.name, vars=example_vars(market), sku="MUG-1"), admission)
        assert (found.template, found.warnings) == (f"{market.name}@1", [])


def test_an_order_is_admitted_by_the_version_that_it_names(db: Database, caller: Caller) -> None:
    save(db, caller, seed=1)
    save(db, caller, seed=2)
    admission = replace(ADMISSION, templates=template_finder(db, caller))
    order = JobOrder(template="kettle@1", vars={"颜色": "蓝色"})
    found = admit(order, admission)
    assert (found.spec.prompt, found.spec.seed, found.template) == ("蓝色水壶", 1, "kettle@1")
    assert admit(JobOrder(template="kettle", vars={"颜色": "蓝色"}), admission).template == "kettle@2"


def test_loras_are_registered_and_pointed_at_other_files(db: Database, clock: Clock, sql: psycopg.Connection) -> None:
    actor = Actor("operator", "ana")
    register_lora(db, name="水墨 1.0", sha256="a" * 64, size=5, actor=actor)
    clock.advance(60)
    register_lora(db, name="水墨 1.0", sha256="b" * 64, size=6_000_000_000, actor=actor)
    rows = list_loras(db)
    assert [(row.name, row.sha256, row.bytes) for row in rows.values()] == [("水墨 1.0", "b" * 64, 6_000_000_000)]
    events = sql.execute("SELECT actor, detail->>'sha256' FROM audit_events WHERE action = 'lora.registered' ORDER BY id").fetchall()
    assert events == [("ana", "a" * 64), ("ana", "b" * 64)]
