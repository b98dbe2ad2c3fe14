"""Rows × slots × sizes × locales × candidates: each cell once, counted without expanding."""

from __future__ import annotations

from typing import Any

import pytest

from factory.domain.catalogue import Catalogue
from factory.domain.job_order import JobOrder
from factory.domain.matrix import FindTemplate, cells, count, describe, row_problems, variants
from factory.domain.template_body import TemplateBody, TemplateVersion
from factory.jobs.new_job import cell as cell_of


def body(name: str, prompt: str, variables: list[str], **more: Any) -> TemplateVersion:
    said = {"name": name, "title": name, "prompt": prompt, "variables": {each: {"default": "x"} for each in variables}, **more}
    return TemplateVersion(TemplateBody.model_validate(said), 1)


TEMPLATES = {
    "white-bg": body("white-bg", "{product} on white", ["product"]),
    "detail": body("detail", "{product}, {mood}", ["product", "mood"]),
    "mascot": body("mascot", "{product} waves", ["product"], seed=618),
}
FIND: FindTemplate = TEMPLATES.get


def catalogue(**said: Any) -> Catalogue:
    return Catalogue.model_validate({"name": "spring", "template": "white-bg", **said})


@pytest.mark.parametrize(
    ("said", "each"),
    [
        ({}, 1),
        ({"slots": ["main", "detail"], "candidates": 4}, 8),
        ({"slots": ["main", "detail"], "sizes": ["64x64", "128x128"], "locales": ["zh", "en", "ja"], "candidates": 2}, 24),
        ({"slots": {"main": {}, "banner": {"size": "1024x256"}}, "sizes": ["64x64", "128x128"]}, 3),
        ({"combine": "zip", "slots": ["a", "b"], "sizes": ["64x64", "128x128"], "locales": ["zh", "en"], "candidates": 3}, 6),
        ({"combine": "zip", "sizes": ["64x64", "128x128"]}, 2),
    ],
)
def test_the_count_is_what_expanding_gives(said: dict[str, Any], each: int) -> None:
    asked = catalogue(**said)
    keys = [cell.key for cell in cells(asked, {"sku": "杯-1"}, FIND)]
    assert count(asked) == each == len(keys) == len(set(keys)) == len(list(variants(asked)))


def test_zip_pairs_them_in_order() -> None:
    asked = catalogue(combine="zip", slots=["main", "detail"], sizes=["64x64", "128x96"], locales=["zh", "en"])
    assert [cell.key for cell in cells(asked, {"sku": "A"}, FIND)] == ["A|main|64x64|zh|1", "A|detail|128x96|en|1"]


def test_a_cell_is_an_order_whose_key_the_jobs_table_agrees_with() -> None:
    asked = catalogue(slots={"main": {}, "banner": {"size": "1024×256"}}, sizes=["64x64"], locales=["zh"], candidates=2)
    for cell in cells(asked, {"sku": " 货号 1 ", "product": "保温杯", "campaign": "618", "tags": ["a"]}, FIND):
        order = JobOrder.model_validate(cell.order)
        assert cell_of(order) == cell.key
        assert (order.sku, order.campaign, order.vars["product"]) == ("货号 1", "618", "保温杯")
        assert order.width in (64, 1024)


def test_variables_of_the_row_win_over_slot_locale_and_catalogue() -> None:
    asked = catalogue(
        template="detail",
        vars={"mood": "catalogue", "product": "catalogue"},
        locales={"zh": {"mood": "locale"}},
        slots={"main": {"vars": {"mood": "slot"}}, "other": {}},
    )
    main, other = cells(asked, {"sku": "A", "vars": {"product": "row"}}, FIND)
    assert main.order["vars"] == {"mood": "slot", "product": "row"}
    assert other.order["vars"] == {"mood": "locale", "product": "row"}


def test_each_slots_template_gets_what_it_has_and_unknown_names_reach_all() -> None:
    asked = catalogue(slots={"main": {}, "page": {"template": "detail"}})
    main, page = cells(asked, {"sku": "A", "product": "cup", "mood": "calm", "colour": "red"}, FIND)
    assert main.order["vars"] == {"product": "cup", "colour": "red"}
    assert page.order["vars"] == {"product": "cup", "mood": "calm", "colour": "red"}
    assert (main.order["template"], page.order["template"]) == ("white-bg", "detail")


def test_a_row_with_its_own_prompt_has_no_template() -> None:
    (cell,) = cells(catalogue(), {"sku": "A", "prompt": "a cup"}, FIND)
    assert "template" not in cell.order
    assert "vars" not in cell.order
    assert JobOrder.model_validate(cell.order).prompt == "a cup"


def test_seeds_follow_from_the_cell_and_stay() -> None:
    asked = catalogue(slots=["main", "detail"], locales=["zh", "en"], sizes=["64x64", "128x128"], candidates=2)
    seeds = {cell.key: cell.order["seed"] for cell in cells(asked, {"sku": "A"}, FIND)}
    again = {cell.key: cell.order["seed"] for cell in cells(asked, {"sku": "A"}, FIND)}
    assert seeds == again
    # One look for every language and size; another for another slot, candidate or product.
    assert len(set(seeds.values())) == 4
    assert seeds["A|main|64x64|zh|1"] == seeds["A|main|128x128|en|1"]
    (other,) = cells(catalogue(), {"sku": "B"}, FIND)
    assert other.order["seed"] not in seeds.values()


def test_seeds_go_by_the_rows_campaign_then_the_catalogues_and_by_the_catalogues_name() -> None:
    def seed(row: dict[str, Any], **said: Any) -> Any:
        (cell,) = cells(catalogue(**said), {"sku": "A", **row}, FIND)
        return cell.order["seed"]

    assert seed({"campaign": "618"}) == seed({}, campaign="618") == seed({"campaign": "618"}, campaign="双11")
    assert len({seed({}), seed({}, campaign="618"), seed({}, project="p"), seed({}, name="autumn")}) == 4


def test_a_seed_that_row_or_template_says_stands() -> None:
    (said,) = cells(catalogue(), {"sku": "A", "seed": 7}, FIND)
    assert said.order["seed"] == 7
    (fixed,) = cells(catalogue(template="mascot"), {"sku": "A"}, FIND)
    assert "seed" not in fixed.order


@pytest.mark.parametrize(
    ("row", "code"),
    [
        ("A", "not_an_object"),
        ({}, "catalogue_row_without_sku"),
        ({"sku": "  "}, "catalogue_row_without_sku"),
        ({"sku": 1.5}, "wrong_type"),
        ({"sku": True}, "wrong_type"),
        ({"sku": "A", "vars": [1]}, "wrong_type"),
        ({"sku": "A", "slot": "main"}, "catalogue_decides"),
        ({"sku": "A", "external_id": "x"}, "catalogue_decides"),
    ],
)
def test_rows_that_cannot_be_in_a_catalogue(row: Any, code: str) -> None:
    assert [problem.code for problem in row_problems(row)] == [code]


def test_a_sku_may_be_a_number() -> None:
    assert row_problems({"sku": 4711}) == []
    (cell,) = cells(catalogue(), {"sku": 4711}, FIND)
    assert cell.order["sku"] == "4711"


def test_the_sum_is_told() -> None:
    asked = catalogue(slots=["a", "b"], sizes=["64x64"], candidates=3)
    assert describe(asked, 5000) == "5000 rows × 2 slots × 3 candidates"
