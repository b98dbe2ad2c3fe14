"""A template as a file: YAML or JSON, in both directions, and everything that a file should not be."""

from __future__ import annotations

import json

import pytest

from factory.domain.read_template import LARGEST, read_template, write_template
from factory.errors import Invalid, TooLarge

GOOD = """
# 注释
name: 双
title: 白底
prompt: "{颜色}杯"
variables:
  颜色: {type: choice, allowed: [红, no, 12, 007], default: 红}
""".replace("name: 双", "name: white-bg")


def read(text: str | bytes):
    return read_template(text if isinstance(text, bytes) else text.encode())


def codes(text: str | bytes) -> dict[str, str]:
    with pytest.raises(Invalid) as refusal:
        read(text)
    return {problem.pointer: problem.code for problem in refusal.value.problems}


def test_yaml_with_chinese_names():
    body = read(GOOD)
    assert (body.name, body.title.zh, body.title.en) == ("white-bg", "白底", None)
    assert body.variables["颜色"].allowed == ("红", "no", 12, "007"), "what looks like a word stays one"


def test_json_is_read_too_with_its_tabs_and_escapes():
    sent = {"name": "a", "title": "A/b 😀", "prompt": "x"}
    for text in (json.dumps(sent), json.dumps(sent, indent="\t", ensure_ascii=False), "\ufeff" + json.dumps(sent).replace("/", "\\/")):
        assert read(text).title.en == "A/b 😀"
    assert read("{name: a, title: b, prompt: c}").name == "a", "a YAML flow mapping"


@pytest.mark.parametrize(
    ("short", "long"),
    [
        ("size: 256x512", "width: 256\nheight: 512"),
        ("seed: 88415", "seed: {policy: fixed, value: 88415}"),
        ("seed: per_sku", "seed: {policy: per_sku}"),
        ("seed: random", ""),
        ("loras: [{name: a, scale: 1}]", "loras: [{name: a}]"),
        ("label_profile:", ""),
    ],
)
def test_two_ways_to_say_it_are_one_template(short, long):
    assert read(f"{GOOD}\n{short}").sha256 == read(f"{GOOD}\n{long}").sha256


def test_what_is_written_is_read_back_equal():
    body = read(
        GOOD + 'description: {zh: "有：冒号", en: "12:30"}\nseed: per_series\nsize: 64x64\nloras: [{name: a, scale: 0.00001}]\n'
        "label_profile: eu\nmodel: '007'\ncategory: 'no'"
    )
    assert read(write_template(body)) == body
    assert "有：冒号" in write_template(body)


def test_any_change_changes_the_hash():
    assert len({read(GOOD + more).sha256 for more in ("", "model: a", "seed: 1", "seed: 2", "category: x", "size: 64x64")}) == 6


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"": "not_an_object"}),
        ("- a", {"": "not_an_object"}),
        ("just text", {"": "not_an_object"}),
        ("a: &x [1]\nb: *x", {"": "malformed_yaml"}),
        ("name: a\nname: b", {"": "malformed_yaml"}),
        ('{"name": "a", "name": "b"}', {"": "malformed_json"}),
        ("!!python/object/apply:os.system [exit]", {"": "malformed_yaml"}),
        ("a: !secret b", {"": "malformed_yaml"}),
        ("a: b\n---\nc: d", {"": "malformed_yaml"}),
        ("a: [b", {"": "malformed_yaml"}),
        ("[" * 5000, {"": "malformed_yaml"}),
        ('{"a":' * 5000, {"": "malformed_yaml"}),
        ("名: 白底".encode("gbk"), {"": "malformed_yaml"}),
        ("name: a".encode("utf-16"), {"": "malformed_yaml"}),
        ('title: "\\0"', {"": "invalid_value"}),
        ('{"title": "\\ud83d"}', {"": "invalid_value"}),
        ('{"seed": NaN}', {"/name": "field_missing", "/title": "field_missing", "/prompt": "field_missing"}),
    ],
)
def test_what_is_no_template(text, expected):
    found = codes(text)
    assert {pointer: found.get(pointer) for pointer in expected} == expected


def test_a_bomb_of_aliases_costs_nothing():
    bomb = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}]\n" for a, b in zip("abcdefghijkl", "bcdefghijklm", strict=True))
    assert codes(bomb) == {"": "malformed_yaml"}


def test_ten_megabytes_are_not_even_parsed():
    with pytest.raises(TooLarge, match=str(LARGEST)):
        read(b"a: " + b"x" * 10_000_000)


@pytest.mark.parametrize(
    ("line", "pointer"),
    [
        ("name: White", "/name"),
        ("name: -a", "/name"),
        ("name: a@1", "/name"),
        ("title: {}", "/title"),
        ("title: 3", "/title"),
        ("prompt: [a]", "/prompt"),
        ("size: big", ""),
        ("seed: sometimes", "/seed/policy"),
        ("seed: {policy: fixed}", "/seed"),
        ("seed: {policy: random, value: 3}", "/seed"),
        ("seed: -1", "/seed/value"),
        ("seed: 9007199254740992", "/seed/value"),
        ("seed: true", "/seed"),
        ("loras: [{name: a, scale: 9}]", "/loras/0/scale"),
        ("loras: [{scale: 1}]", "/loras/0/name"),
        ("loras: [{name: a}, {name: b}, {name: c}, {name: d}, {name: e}]", "/loras"),
        ("label_profile: us", "/label_profile"),
        ("variables: {1a: {}}", "/variables/1a"),
        ("variables: {a-b: {}}", "/variables/a-b"),
        ("variables: {a: {type: colour}}", "/variables/a/type"),
        ("variables: {a: {default: [1]}}", "/variables/a/default"),
        ("variables: {a: text}", "/variables/a"),
        ("variables: {a: {min: few}}", "/variables/a/min"),
        ("surprise: 1", "/surprise"),
    ],
)
def test_a_wrong_field_is_pointed_at(line, pointer):
    name = line.partition(":")[0]
    rest = "\n".join(each for each in ("name: a", "title: b", "prompt: c") if not each.startswith(name))
    assert set(codes(f"{rest}\n{line}")) == {pointer}
