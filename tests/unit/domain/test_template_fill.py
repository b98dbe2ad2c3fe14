"""Filling holes: only names in braces are holes, only declared and allowed values get in, and nothing that they hold is read again."""

from __future__ import annotations

import pytest

from factory.domain.fill_template import example_vars, fill_template, holes
from factory.domain.template_body import TemplateBody
from factory.errors import Invalid


def body(prompt: str, **variables) -> TemplateBody:
    return TemplateBody.model_validate({"name": "t", "title": "试", "prompt": prompt, "variables": variables})


def problems(of: TemplateBody, **given):
    with pytest.raises(Invalid) as refusal:
        fill_template(of, given)
    return {problem.pointer: (problem.code, problem.message) for problem in refusal.value.problems}


def test_a_prompt_is_filled_in_chinese_and_english():
    of = body("{颜色}{product}，{{限量}} no. {n}", 颜色={"type": "choice", "allowed": ["红色", "蓝色"]}, product={}, n={"type": "integer"})
    assert fill_template(of, {"颜色": "红色", "product": " 马克杯 ", "n": "3"}) == "红色马克杯，{限量} no. 3"
    assert holes(of.prompt) == ["颜色", "product", "n"]


@pytest.mark.parametrize(
    "hostile", ["{0.__class__}", "{product.__init__.__globals__}", "{product}", "{{product}}", "%s $x {", "}{", "{product!r:>99999999}"]
)
def test_what_a_variable_holds_is_never_read_as_a_hole(hostile):
    assert fill_template(body("a {product}!", product={}), {"product": hostile}) == f"a {hostile}!"


@pytest.mark.parametrize(
    "hole", ["{a.b}", "{a[0]}", "{a!r}", "{a:>9}", "{}", "{0}", "{ a }", "{a", "a}", "{a{a}}", "{a-b}", "{__import__('os')}"]
)
def test_a_hole_is_a_name_and_nothing_else(hole):
    found = problems(body(f"x {hole} y", a={}), a="1")
    assert found["/prompt"][0] == "template_hole"
    assert "written twice" in found["/prompt"][1]


def test_doubled_braces_are_braces():
    assert fill_template(body("{{{a}}} {{a}} }}{{", a={}), {"a": "1"}) == "{1} {a} }{"


def test_each_wrong_variable_is_named_with_its_value_and_what_it_takes():
    of = body(
        "{a}{b}{c}{d}{e}",
        a={"type": "choice", "allowed": ["red", "blue"]},
        b={"type": "integer", "min": 1, "max": 9},
        c={"type": "number"},
        d={"type": "boolean", "if_true": "x"},
        e={"max_length": 3},
    )
    found = problems(of, a="mauve", b=10, c="nan", d="perhaps", e="much too long", f=1)
    assert found["/vars/a"] == ("variable_not_allowed", "variable 'a' is 'mauve'; allowed: red, blue")
    assert found["/vars/b"] == ("variable_out_of_range", "variable 'b' is 10; it must be 1 … 9")
    assert found["/vars/c"] == ("variable_wrong_type", "variable 'c' is 'nan'; it takes a number")
    assert found["/vars/d"][0] == "variable_wrong_type"
    assert found["/vars/e"][0] == "variable_too_long"
    assert found["/vars/f"] == ("unknown_variable", "template 't' has no variable 'f'; it has a, b, c, d, e")
    assert set(problems(of)) == {"/vars/a", "/vars/b", "/vars/c", "/vars/d", "/vars/e"}


@pytest.mark.parametrize(
    ("variable", "given", "text"),
    [
        ({"type": "integer"}, 3, "3"),
        ({"type": "integer"}, "+07", "7"),
        ({"type": "integer"}, 3.0, "3"),
        ({"type": "integer", "allowed": [1, 2]}, "2", "2"),
        ({"type": "number"}, "0.50", "0.5"),
        ({"type": "number"}, 2, "2"),
        ({"type": "boolean", "if_true": "带盖", "if_false": "无盖"}, "是", "带盖"),
        ({"type": "boolean", "if_true": "带盖"}, False, ""),
        ({"type": "choice", "allowed": [316, "钛"]}, "316", "316"),
        ({"type": "text"}, 500, "500"),
        ({"type": "text"}, "two\nlines\tand\x1bmore", "two lines and more"),
        ({"default": "plain"}, "", "plain"),
        ({"default": ""}, None, ""),
    ],
)
def test_values_come_as_tables_and_json_have_them(variable, given, text):
    assert fill_template(body("[{v}]", v=variable), {"v": given}) == f"[{text}]"


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("integer", 3.5),
        ("integer", True),
        ("integer", "3.0"),
        ("integer", 10**400),
        ("integer", "1_000"),
        ("integer", float("inf")),
        ("number", "inf"),
        ("number", 10**400),
        ("number", False),
        ("text", True),
        ("text", ["a"]),
        ("text", {"a": 1}),
    ],
)
def test_values_of_another_type(kind, given):
    assert problems(body("{v}", v={"type": kind}), v=given)["/vars/v"][0] == "variable_wrong_type"


def test_a_variable_that_may_be_empty_leaves_no_gap():
    of = body("a {colour} {product}, on white", colour={"default": ""}, product={})
    assert fill_template(of, {"product": "mug"}) == "a mug, on white"


def test_names_that_are_no_plain_keys_get_a_true_pointer():
    assert set(problems(body("a"), **{"a/b": 1, "c~d": 2})) == {"/vars/a~1b", "/vars/c~0d"}


def test_examples_fall_back_to_defaults_and_to_what_is_allowed():
    of = body("{a}{b}{c}{d}", a={"example": "x", "default": "y"}, b={"default": False, "type": "boolean"}, c={"allowed": ["p", "q"]}, d={})
    assert example_vars(of) == {"a": "x", "b": False, "c": "p"}
