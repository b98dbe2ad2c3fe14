"""A catalogue says what it means, or is told which field does not."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from factory.domain.catalogue import DEFAULT_SLOT, Catalogue, Combine
from factory.domain.plain_yaml import read_yaml
from factory.errors import Invalid

YAML = """
name: 春季-618
project: spring
template: white-bg@2
rows: skus.csv
slots:
  main:
  detail: {template: detail-page, size: 768×1024, vars: {mood: 清新}}
sizes: [1024x1024]
locales: {zh: {language: 中文}, en: {language: English}}
candidates: 2
"""


def test_yaml_as_people_write_it() -> None:
    found = Catalogue.model_validate(read_yaml(YAML.encode()))
    assert found.name == "春季-618"
    assert list(found.slots) == ["main", "detail"]
    assert found.slots["detail"].size == "768x1024"
    assert found.locales["zh"] == {"language": "中文"}
    assert (found.candidates, found.combine, found.rows) == (2, Combine.CROSS, "skus.csv")


def test_names_may_stand_in_a_list_and_slots_be_left_out() -> None:
    found = Catalogue.model_validate({"name": "a", "slots": ["main", "detail"], "locales": ["zh", "en"]})
    assert list(found.slots) == ["main", "detail"]
    assert found.locales == {"zh": {}, "en": {}}
    assert list(Catalogue(name="a").slots) == [DEFAULT_SLOT]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"candidates": 0}, "greater than or equal to 1"),
        ({"candidates": 101}, "less than or equal to 100"),
        ({"sizes": ["1024"]}, "must look like 1024x768"),
        ({"sizes": ["1024x768", "1024×768"]}, "twice"),
        ({"slots": {}}, "at least 1"),
        ({"slots": ["main", "main"]}, "twice"),
        ({"slots": {"ma in": {}}}, "pattern"),
        ({"slots": {"main": {"colour": "red"}}}, "Extra inputs"),
        ({"template": "White BG"}, "pattern"),
        ({"name": "a/b"}, "pattern"),
        ({"colour": "red"}, "Extra inputs"),
        ({"combine": "zip", "slots": ["a", "b"], "sizes": ["64x64"]}, "slots has 2, sizes has 1"),
        ({"combine": "zip", "slots": {"a": {"size": "64x64"}}, "sizes": ["64x64"]}, "leave out the slots' own"),
        ({"combine": "both"}, "cross"),
        ({"priority": "urgent"}, "interactive"),
    ],
)
def test_what_is_wrong_is_named(wrong: dict[str, object], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Catalogue.model_validate({"name": "a", **wrong})


def test_zip_with_one_slot_that_nobody_named() -> None:
    found = Catalogue.model_validate({"name": "a", "combine": "zip", "sizes": ["64x64", "128x128"], "locales": ["zh", "en"]})
    assert list(found.slots) == [DEFAULT_SLOT]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00123", "00123"),
        ("123", 123),
        ("1_000", "1_000"),
        ("1E3", "1E3"),
        ("12:30", "12:30"),
        ("0x1F", "0x1F"),
        ("no", "no"),
        ("true", True),
        ("1.5", 1.5),
        ("2026-11-11", "2026-11-11"),
        ("~", None),
        ("null", None),
        (".inf", ".inf"),
    ],
)
def test_yaml_keeps_what_was_typed(text: str, value: object) -> None:
    found = read_yaml(f"sku: {text}".encode())["sku"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: &x [1]\nb: *x", "line 2: aliases"),
        ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]", "aliases"),
        ("a: 1\na: 2", "given twice"),
        ("[" * 20 + "]" * 20, "nested deeper"),
        ("a: !!python/object/apply:os.system ['true']", "tags"),
        ("a: !!bool xyz", "tags"),
        ('b: 1\na: !!int ""', "line 2: tags"),
        ("a: [1", "line"),
        ("\x00", "cannot be read"),
    ],
)
def test_yaml_that_could_grow_or_run_is_refused(text: str, says: str) -> None:
    with pytest.raises(Invalid, match=says) as refused:
        read_yaml(text.encode())
    assert refused.value.code == "malformed_yaml"


def test_yaml_is_utf8_with_or_without_a_mark() -> None:
    assert read_yaml("﻿名: 杯".encode()) == {"名": "杯"}
    with pytest.raises(Invalid, match="not UTF-8"):
        read_yaml("名: 杯".encode("gbk"))
