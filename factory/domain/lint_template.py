"""lint_template: what will not work in a template, and what is probably a mistake."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from factory.domain.fill_template import escaped, example_vars, fill_template, holes, split_prompt
from factory.domain.job_order import JobOrder
from factory.domain.template_body import TemplateBody, Value, Variable
from factory.domain.template_value import value_text
from factory.errors import Invalid, Problem

SIDE_MULTIPLE = 16
SMALLEST_SIDE, LARGEST_SIDE = 64, 4096
LONGEST_PROMPT = 2000
SPECIAL_TOKEN_MARK = "<|"  # noqa: S105 - the start of a chat-template token, no secret
NUMBERS = ("integer", "number")


@dataclass(frozen=True)
class Finding:
    """An `error` keeps the template from being saved, a `warning` does not."""

    level: Literal["error", "warning"]
    problem: Problem

    def as_dict(self) -> dict[str, Any]:
        return {"level": self.level, **self.problem.as_dict()}


def lint_template(body: TemplateBody) -> list[Finding]:
    """Everything at once, errors first."""
    found = [*_prompt(body), *_sizes(body), *_loras(body)]
    for name, variable in body.variables.items():
        found += _variable(name, variable)
    if not any(finding.level == "error" for finding in found):
        found += _example(body)
    return sorted(found, key=lambda finding: finding.level)


def errors_of(findings: Iterable[Finding]) -> list[Problem]:
    return [finding.problem for finding in findings if finding.level == "error"]


def _error(code: str, message: str, pointer: str, value: Any = None) -> Finding:
    return Finding("error", Problem(code, message, pointer, value))


def _warning(code: str, message: str, pointer: str, value: Any = None) -> Finding:
    return Finding("warning", Problem(code, message, pointer, value))


def _prompt(body: TemplateBody) -> Iterator[Finding]:
    if not body.prompt.strip():
        yield _error("template_prompt_empty", "prompt is empty; say what to draw", "/prompt", body.prompt)
    for problem in split_prompt(body.prompt)[1]:
        yield Finding("error", problem)
    named = holes(body.prompt)
    for name in named:
        if name not in body.variables:
            message = f"prompt: the hole {{{name}}} has no variable; declare `{name}` under `variables`"
            yield _error("template_hole_undeclared", message, "/prompt", name)
    for name in body.variables:
        at = f"/variables/{escaped(name)}"
        if name not in named:
            yield _warning(
                "template_variable_unused", f"variable {name!r} stands in no hole; put {{{name}}} into the prompt or drop it", at
            )
        if name in JobOrder.model_fields:
            message = f"variable {name!r} has the name of an order's field; in a table its column would mean the field, so rename it"
            yield _warning("template_variable_shadows", message, at, name)
    if SPECIAL_TOKEN_MARK in body.prompt:
        message = f"prompt contains {SPECIAL_TOKEN_MARK!r}, which the text encoder would read as a control token; remove it"
        yield _error("prompt_special_token", message, "/prompt", body.prompt)


def _sizes(body: TemplateBody) -> Iterator[Finding]:
    for name, side in (("width", body.width), ("height", body.height)):
        if side is None:
            continue
        if not SMALLEST_SIDE <= side <= LARGEST_SIDE:
            yield _error("size_out_of_range", f"{name} {side} must be {SMALLEST_SIDE} … {LARGEST_SIDE} pixels", f"/{name}", side)
        elif side % SIDE_MULTIPLE:
            nearest = round(side / SIDE_MULTIPLE) * SIDE_MULTIPLE
            yield _error("size_not_multiple_of_16", f"{name} {side} must be a multiple of 16; try {nearest}", f"/{name}", side)
    if (body.width is None) != (body.height is None):
        missing = "height" if body.height is None else "width"
        yield _warning("template_size_half", f"{missing} is missing: it will be the checkpoint's own; say both or none", f"/{missing}")


def _loras(body: TemplateBody) -> Iterator[Finding]:
    for name, count in Counter(lora.name for lora in body.loras).items():
        if count > 1:
            yield _error(
                "lora_repeated", f"LoRA {name!r} is named {count} times; name it once, with the scale that it shall have", "/loras", name
            )


def _variable(name: str, variable: Variable) -> Iterator[Finding]:
    at = f"/variables/{escaped(name)}"
    yield from _fitting(name, variable, at)
    if variable.min is not None and variable.max is not None and variable.min > variable.max:
        yield _error("template_range_empty", f"variable {name!r}: min {variable.min} is above max {variable.max}; swap them", f"{at}/min")
    texts = [str(value) for value in variable.allowed]
    for text, count in Counter(texts).items():
        if count > 1:
            yield _error("template_duplicate", f"variable {name!r} allows {text!r} {count} times; keep one", f"{at}/allowed", text)
    free = variable.model_copy(update={"allowed": ()})
    for place, value in enumerate(variable.allowed):
        yield from _taken(name, free, value, f"{at}/allowed/{place}", "template_allowed_wrong")
    if variable.default not in (None, ""):
        yield from _taken(name, variable, variable.default, f"{at}/default", "template_default_not_allowed")
    elif variable.default == "" and variable.type != "text":
        message = f"variable {name!r}: only a text may be empty by default; leave `default` out, or give one"
        yield _error("template_default_not_allowed", message, f"{at}/default", "")
    if variable.example not in (None, ""):
        yield from _taken(name, variable, variable.example, f"{at}/example", "template_example_not_allowed")
    elif variable.default in (None, "") and not variable.allowed:
        yield _warning(
            "template_example_missing", f"variable {name!r} has no example; give one, so that samples can be drawn", f"{at}/example"
        )


def _taken(name: str, variable: Variable, value: Value | None, pointer: str, code: str) -> Iterator[Finding]:
    problem = value_text(name, variable, value, pointer)
    if isinstance(problem, Problem):
        yield _error(code, problem.message, pointer, value)


def _fitting(name: str, variable: Variable, at: str) -> Iterator[Finding]:
    """Settings that belong to another type."""
    if variable.type == "choice" and not variable.allowed:
        yield _error("template_choice_empty", f"variable {name!r} is a choice of nothing; list `allowed`", f"{at}/allowed")
    if variable.type == "boolean" and not (variable.if_true or variable.if_false):
        message = f"variable {name!r} puts nothing into the prompt; give `if_true`, `if_false` or both"
        yield _error("template_boolean_silent", message, f"{at}/if_true")
    only = {
        "allowed": variable.type != "boolean" or not variable.allowed,
        "min": variable.type in NUMBERS or variable.min is None,
        "max": variable.type in NUMBERS or variable.max is None,
        "max_length": variable.type == "text" or variable.max_length is None,
        "if_true": variable.type == "boolean" or variable.if_true is None,
        "if_false": variable.type == "boolean" or variable.if_false is None,
    }
    for setting, fits in only.items():
        if not fits:
            message = f"variable {name!r}: `{setting}` means nothing for a {variable.type}; drop it, or change the type"
            yield _error("template_setting_wrong", message, f"{at}/{setting}", getattr(variable, setting))


def _example(body: TemplateBody) -> Iterator[Finding]:
    """The example order as it would be read."""
    try:
        prompt = fill_template(body, example_vars(body))
    except Invalid:
        return  # a variable without an example, which has its warning
    if not prompt:
        yield _error("template_prompt_empty", "with its examples the prompt is empty; say what to draw", "/prompt", body.prompt)
    if len(prompt) > LONGEST_PROMPT:
        message = f"with its examples the prompt has {len(prompt)} characters; at most {LONGEST_PROMPT} are read, so shorten it"
        yield _error("prompt_too_long", message, "/prompt", prompt)
