"""Headers as people write them, mappings, variables of templates, and whose names an order has seen."""

from __future__ import annotations

import io
import random

import pytest

from factory.errors import Invalid
from factory.intake.batch_head import head_from_pairs, read_head
from factory.intake.columns import Reading, fold, mapping_problems, read_header
from factory.intake.csv_rows import csv_rows
from factory.intake.rows import RowDefaults, parsed_rows
from factory.intake.table import Table
from factory.jobs.external_ids import ExternalIds


def table_of(text: str, *, encoding: str = "utf-8", **reading):
    table = Table(Reading.of(reading.pop("mapping", {}), reading.pop("variables", {}), **reading))
    return [row for _, row in csv_rows(io.BytesIO(text.encode(encoding)), table)], table


def refused(text: str, **reading) -> Invalid:
    with pytest.raises(Invalid) as found:
        table_of(text, **reading)
    return found.value


@pytest.mark.parametrize("written", ["ＳＫＵ", " sku ", "Sku*", "SK\u200bU", "\ufeffsku"])
def test_headers_are_compared_without_what_has_no_meaning(written):
    assert fold(written) == "sku"


@pytest.mark.parametrize("written", ["品 名", "品名（必填）", "品名 (选填)", "品名*(Required)", "品 名 （必填）*", "品名"])
def test_spaces_in_chinese_and_notes_have_no_meaning_in_headers(written):
    assert fold(written) == "品名"
    assert fold("cost centre (optional)") == "cost centre"
    assert fold("尺寸(cm)") == "尺寸(cm)"


def test_full_width_numbers_and_chinese_priorities():
    rows, _ = table_of("提示词,宽度,种子,优先级,活动\n杯，２件,２５６,７,加急,加急\na,64,8,闲时,１月\n".replace("杯，２件", '"杯，２件"'))
    assert [(row["width"], row["seed"], row["priority"]) for row in rows] == [("256", "7", "interactive"), ("64", "8", "offpeak")]
    assert (rows[0]["prompt"], [row["campaign"] for row in rows]) == ("杯，２件", ["加急", "１月"])


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16"])
@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_every_way_to_save_a_table(encoding, mark):
    text = mark.join(["ＳＫＵ", "提示词", "宽度"]) + "\r\n" + mark.join(["甲1", "红色马克杯，白底", "64"]) + "\r\n"
    assert table_of(text, encoding=encoding)[0] == [{"sku": "甲1", "prompt": "红色马克杯，白底", "width": "64"}]


def test_one_column_with_commas_or_semicolons_in_its_rows():
    assert table_of("prompt\na; b\n")[0] == [{"prompt": "a; b"}]


def test_a_title_above_the_header():
    rows, table = table_of("导出时间 2026-03-01\n\n货号;提示词\nS1;a\n;\nS2;b\n")
    assert [row["sku"] for row in rows] == ["S1", "S2"]
    assert table.locate(3, "/sku") == {"column": "货号", "cell": "A6"}


def test_with_a_template_the_header_is_the_row_with_the_most_known_words():
    rows, table = table_of("活动,春季,\n货号,商品名,备注\nS1,杯,x\nS2,垫,\n", variables={"product": ["商品名"]}, templated=True)
    assert rows == [{"sku": "S1", "vars": {"product": "杯"}}, {"sku": "S2", "vars": {"product": "垫"}}]
    assert table.locate(2, "/vars/product")["cell"] == "B4"


def test_a_mapping_says_what_a_header_means():
    mapping = {"款 号": "sku", "画面": "prompt", "备注": "-", "门店": "metadata.shop", "不在": "campaign"}
    rows, table = table_of("款 号,画面,备注,门店,别的\nS1,a,x,一店,y\n", mapping=mapping)
    assert rows == [{"sku": "S1", "prompt": "a", "metadata": {"shop": "一店"}}]
    assert [warning["code"] for warning in table.warnings] == ["csv_column_ignored", "mapping_column_absent"]
    assert "别的" in table.warnings[0]["detail"]
    assert "备注" not in table.warnings[0]["detail"]
    assert "不在" in table.warnings[1]["detail"]


def test_a_mapping_wins_over_what_another_header_would_mean():
    rows, _ = table_of("货号,款号,提示词\nerp-7,S1,a\n", mapping={"款号": "sku"})
    assert rows == [{"sku": "S1", "prompt": "a"}]


def test_two_columns_onto_one_field_are_named_with_their_letters():
    for text, mapping in (("货号,SKU,提示词\n", {}), ("a,b,提示词\n", {"a": "sku", "b": "sku"})):
        fault = refused(text + "1,2,3\n", mapping=mapping)
        assert (fault.code, fault.problems[0].pointer) == ("csv_duplicate_column", "/sku")
        assert "(A)" in str(fault)
        assert "(B)" in str(fault)


def test_the_same_unknown_header_twice_does_no_harm():
    assert table_of("备注,备注,prompt\nx,y,a\n")[0] == [{"prompt": "a"}]


@pytest.mark.parametrize("target", ["skuu", "project", "vars", "metadata", "metadata.", "vars." + "x" * 65, ""])
def test_a_mapping_onto_what_is_no_field(target):
    (problem,) = mapping_problems({"款号": target})
    assert (problem.code, problem.pointer, problem.value) == ("mapping_unknown_field", "/map/款号", target)
    assert "sku" in problem.message


def test_variables_are_found_by_name_and_by_either_title():
    variables = {"product": ["商品名", "Product name"], "slogan": ["卖点"], "campaign": ["活动"], "price": []}
    rows, table = table_of("商品名,SLOGAN,活动,vars.price,色\n杯子,保温,春季,9.9,红\n", variables=variables, templated=True)
    assert rows == [{"campaign": "春季", "vars": {"product": "杯子", "slogan": "保温", "campaign": "春季", "price": "9.9"}}]
    assert table.locate(1, "/vars/product/str") == {"column": "商品名", "cell": "A2"}
    assert table.locate(1, "/campaign") == {"column": "活动", "cell": "C2"}
    assert [warning["code"] for warning in table.warnings] == ["csv_column_ignored"]


def test_a_template_with_nothing_to_fill_from():
    fault = refused("色,备注\n红,x\n", variables={"product": []}, templated=True)
    assert fault.code == "csv_missing_column"
    assert "map.HEADER=FIELD" in str(fault)


def test_columns_beyond_z_and_lists_in_a_cell():
    header = ",".join(["提示词", *(f"metadata.{n}" for n in range(26)), "标签", "loras"])
    rows, table = table_of(header + "\na" + "," * 27 + "红|圆、 大,ink:0.8;soft\n")
    assert rows[0]["tags"] == ["红", "圆", "大"]
    assert rows[0]["loras"] == [{"name": "ink", "scale": "0.8"}, {"name": "soft"}]
    assert table.locate(1, "/tags/2") == {"column": "标签", "cell": "AB2"}
    assert table.locate(1, "/rows/1/metadata/7") == {"column": "metadata.7", "cell": "I2"}
    assert table.locate(1, "") == {}


def test_a_size_column_is_where_a_wrong_side_stands():
    _, table = table_of("prompt,尺寸\na,65x64\n")
    assert table.locate(1, "/width") == {"column": "尺寸", "cell": "B2"}


@pytest.mark.parametrize("name", ["vars", "Vars", "metadata"])
def test_pairs_are_named_one_by_one(name):
    assert refused(f"prompt,{name}\na,b\n").problems[0].pointer == f"/{name.lower()}"


def test_the_head_in_an_address():
    pairs = [
        ("map.款号", "sku"),
        ("vars.season", "春"),
        ("metadata.a.b", "x"),
        ("tag", "t"),
        ("template", "white-bg@2"),
        ("reuse", "false"),
    ]
    head = read_head(head_from_pairs(pairs), {})
    assert (head.map, head.vars, head.metadata, head.tags) == ({"款号": "sku"}, {"season": "春"}, {"a.b": "x"}, ["t"])
    assert (head.template, head.reuse, head.retention) == ("white-bg@2", False, "standard")


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"map": {"a": "skuu"}}, "/map/a"),
        ({"remember": "spring"}, "/map"),
        ({"retention": "for ever"}, "/retention"),
        ({"priority": "urgent"}, "/priority"),
        ({"not_before": "tomorrow"}, "/not_before"),
        ({"template": "White BG"}, "/template"),
        ({"vars": {"a": None}}, "/vars/a"),
        ({"sheet": ""}, "/sheet"),
    ],
)
def test_a_head_that_is_wrong_names_its_field(sent, pointer):
    with pytest.raises(Invalid) as found:
        read_head({}, sent)
    assert found.value.problems[0].pointer.startswith(pointer)


def test_rows_take_from_the_order_what_they_do_not_say():
    defaults = RowDefaults("white-bg", {"season": "春", "colour": "红"}, {fold("品名"): "vars.product"})
    orders = [row.order for row in parsed_rows([(1, {"品名": "杯"}), (2, {"prompt": "a"}), (3, {"vars": {"season": "夏"}})], defaults)]
    assert [(order.template, order.vars) for order in orders if order] == [
        ("white-bg", {"season": "春", "colour": "红", "product": "杯"}),
        (None, {}),
        ("white-bg", {"season": "夏", "colour": "红"}),
    ]


def test_rows_that_are_objects_are_renamed_and_never_changed():
    row = {"款号": "S1", "提示": "a", "备注": "x", "metadata": {"k": "v"}, "门店": "一"}
    mapping = {fold(name): target for name, target in {"款号": "sku", "提示": "prompt", "备注": "-", "门店": "metadata.shop"}.items()}
    assert RowDefaults(mapping=mapping).complete(row) == {"sku": "S1", "prompt": "a", "metadata": {"k": "v", "shop": "一"}}
    assert row["metadata"] == {"k": "v"}


def test_names_are_remembered_as_a_dict_would():
    seen, truth, chance = ExternalIds(), dict[str, int](), random.Random(7)
    for row in range(1, 4000):
        name = f"r{chance.randrange(2500)}"
        assert seen.first(name, row) == truth.setdefault(name, row)
        if chance.random() < 0.1:
            truth.pop(name, None)
            seen.forget(name)
    assert len(seen) == len(truth)
    assert {name: seen[name] for name in truth} == truth
    assert {name: row for some in seen.chunks(100) for name, row in some.items()} == truth
    with pytest.raises(KeyError):
        seen["never"]


def test_a_hundred_columns_have_a_hundred_letters():
    assert [read_header([""] * 703, Reading())[at].letter for at in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]
