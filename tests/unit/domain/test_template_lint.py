"""The linter: what cannot work is an error, what is probably a slip a warning, and both say where."""

from __future__ import annotations

import pytest

from factory.domain.lint_template import errors_of, lint_template
from factory.domain.template_body import TemplateBody

GOOD = {
    "name": "white-bg",
    "title": {"zh": "白底", "en": "White"},
    "prompt": "{colour}{product}，白底图",
    "variables": {"product": {"example": "马克杯"}, "colour": {"type": "choice", "allowed": ["红色", "蓝色"], "default": "红色"}},
    "size": "256x512",
    "loras": [{"name": "sketch", "scale": 0.5}],
    "seed": 88415,
}


def found(**changes) -> dict[tuple[str, str], str]:
    """(code, pointer) → level."""
    findings = lint_template(TemplateBody.model_validate({**GOOD, **changes}))
    assert all(finding.problem.message for finding in findings)
    return {(finding.problem.code, finding.problem.pointer): finding.level for finding in findings}


def of(**variable):
    return found(prompt="{v}", variables={"v": variable})


def test_a_good_template_has_no_findings():
    assert found() == {}


@pytest.mark.parametrize(
    ("changes", "code", "pointer", "level"),
    [
        ({"prompt": " \n "}, "template_prompt_empty", "/prompt", "error"),
        ({"prompt": "{product}{colour}{size_}"}, "template_hole_undeclared", "/prompt", "error"),
        ({"prompt": "{product}{colour.upper}"}, "template_hole", "/prompt", "error"),
        ({"prompt": "{product}{colour}<|im_end|>"}, "prompt_special_token", "/prompt", "error"),
        ({"prompt": "{product}"}, "template_variable_unused", "/variables/colour", "warning"),
        ({"size": "250x256"}, "size_not_multiple_of_16", "/width", "error"),
        ({"size": "256x8192"}, "size_out_of_range", "/height", "error"),
        ({"size": None, "width": 256}, "template_size_half", "/height", "warning"),
        ({"loras": [{"name": "a"}, {"name": "a"}]}, "lora_repeated", "/loras", "error"),
        ({"prompt": "{sku}", "variables": {"sku": {"example": "x"}}}, "template_variable_shadows", "/variables/sku", "warning"),
        ({"prompt": "{v}" + "x" * 1990, "variables": {"v": {"example": "x" * 30}}}, "prompt_too_long", "/prompt", "error"),
    ],
)
def test_findings_of_the_whole(changes, code, pointer, level):
    assert found(**changes)[code, pointer] == level


@pytest.mark.parametrize(
    ("variable", "code", "where", "level"),
    [
        ({"type": "choice"}, "template_choice_empty", "/allowed", "error"),
        ({"type": "choice", "allowed": ["a"], "default": "b"}, "template_default_not_allowed", "/default", "error"),
        ({"type": "choice", "allowed": ["a"], "example": "b"}, "template_example_not_allowed", "/example", "error"),
        ({"type": "choice", "allowed": ["a", "b", "a"]}, "template_duplicate", "/allowed", "error"),
        ({"type": "choice", "allowed": ["a", True]}, "template_allowed_wrong", "/allowed/1", "error"),
        ({"type": "choice", "allowed": ["a"], "default": ""}, "template_default_not_allowed", "/default", "error"),
        ({"type": "integer", "allowed": [1, "two"]}, "template_allowed_wrong", "/allowed/1", "error"),
        ({"type": "integer", "min": 9, "max": 1, "example": 5}, "template_range_empty", "/min", "error"),
        ({"type": "integer", "default": "many"}, "template_default_not_allowed", "/default", "error"),
        ({"type": "number", "max": 1, "example": 1.5}, "template_example_not_allowed", "/example", "error"),
        ({"type": "boolean", "default": True}, "template_boolean_silent", "/if_true", "error"),
        ({"type": "boolean", "if_true": "x", "allowed": [True]}, "template_setting_wrong", "/allowed", "error"),
        ({"type": "text", "min": 1, "example": "x"}, "template_setting_wrong", "/min", "error"),
        ({"type": "integer", "max_length": 3, "example": 1}, "template_setting_wrong", "/max_length", "error"),
        ({"if_true": "x", "example": "y"}, "template_setting_wrong", "/if_true", "error"),
        ({"max_length": 2, "example": "abc"}, "template_example_not_allowed", "/example", "error"),
        ({}, "template_example_missing", "/example", "warning"),
        ({"default": ""}, "template_example_missing", "/example", "warning"),
    ],
)
def test_findings_of_a_variable(variable, code, where, level):
    assert of(**variable)[code, f"/variables/v{where}"] == level


def test_errors_come_first_and_alone_keep_a_template_from_being_saved():
    findings = lint_template(TemplateBody.model_validate({**GOOD, "prompt": "{product}{x}"}))
    assert [finding.level for finding in findings] == ["error", "warning"]
    assert [problem.code for problem in errors_of(findings)] == ["template_hole_undeclared"]
    assert findings[0].as_dict()["level"] == "error"
