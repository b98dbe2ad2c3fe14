"""Cursors, waits, cells and pointers."""

from __future__ import annotations

import json
import uuid

import orjson
import pytest

from factory.api.answers import json_bytes
from factory.api.audit_files import cell, csv_lines
from factory.api.cursors import read_number, read_uuid, write_cursor
from factory.api.prefer import preferences
from factory.api.problems import STATUS, status_of
from factory.errors import FactoryError, Invalid, Problem
from factory.intake.field_problems import field_problems


def test_cursors_come_back_as_they_went():
    name = uuid.uuid4()
    assert read_uuid(write_cursor(name)) == name
    assert read_number(write_cursor(2**63 - 1)) == 2**63 - 1
    assert read_uuid(None) is None


@pytest.mark.parametrize("strange", ["!", "=", "é", write_cursor(0), write_cursor(2**63), write_cursor(-1), "x" * 200])
def test_a_strange_cursor(strange):
    for read in (read_uuid, read_number):
        with pytest.raises(Invalid, match="next_cursor"):
            read(strange)


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        (["wait=5"], {"wait": "5"}),
        (["respond-async, wait=10"], {"respond-async": "", "wait": "10"}),
        (["wait=0", "Respond-Async"], {"wait": "0", "respond-async": ""}),
        (['wait="7"; foo'], {"wait": "7"}),
        (["wait = 3"], {"wait": "3"}),
        (["await=5"], {"await": "5"}),
        (["wait=5, wait=9"], {"wait": "5"}),
        (['x="a, respond-async, b"; y'], {"x": "a, respond-async, b"}),
        (["foo; respond-async"], {"foo": ""}),
        (["respond-async; x=1"], {"respond-async": ""}),
        (['", ,;=,"', ",,;", '"'], {}),
    ],
)
def test_prefer(headers, said):
    assert preferences(headers) == said


@pytest.mark.parametrize("start", list("=+-@\t\r\n＝＋－＠"))
def test_no_cell_starts_a_formula(start):
    assert cell(f"{start}1+1") == f"'{start}1+1"
    assert cell(-5) == -5
    assert cell("a=b") == "a=b"


def test_csv_in_pieces_is_one_file():
    lines = list(csv_lines(["a", "b"], ({"a": n, "b": "x" * 1000} for n in range(200))))
    assert len(lines) > 2
    assert b"".join(lines).count(b"\r\n") == 201


def test_pointers_are_escaped():
    (found,) = field_problems([{"type": "extra_forbidden", "loc": ("a/b~c",), "msg": "no", "input": {"x": 1}}])
    assert (found.pointer, found.code, found.value) == ("/a~1b~0c", "unknown_field", None)


def test_every_error_has_a_status():
    def family(kind):
        return [kind, *(below for child in kind.__subclasses__() for below in family(child))]

    for kind in family(FactoryError):
        assert status_of(kind("x")) in STATUS.values()


NESTED: list[object] = []
for _ in range(5000):
    NESTED = [NESTED]


@pytest.mark.parametrize(
    "value",
    [10**30, -(10**5000), 1e308, float("inf"), float("nan"), "\ud800", "x" * 500, NESTED, {"a": 10**30}],
    ids=lambda value: type(value).__name__,
)
def test_a_problem_shows_any_value_in_a_few_characters(value):
    shown = Problem("c", "m", value=value).as_dict()["value"]
    assert isinstance(shown, str)
    assert len(shown) <= 80
    orjson.dumps(shown)


@pytest.mark.parametrize("value", [None, True, 7, -1.5, 2**53, "短"])
def test_a_problem_shows_plain_values_as_they_came(value):
    assert Problem("c", "m", value=value).as_dict()["value"] == value


def test_an_answer_that_was_stored_can_be_read_whatever_it_holds():
    assert json.loads(json_bytes({"value": 10**30, "text": "\ud800"})) == {"value": 10**30, "text": "\ud800"}
