"""admit: an order becomes a frozen spec, or a list of what is wrong with it. Nothing is written here."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from factory.domain.checkpoint import Checkpoint
from factory.domain.generation_spec import TURBO_EVALUATIONS, TURBO_GUIDANCE, GenerationSpec
from factory.domain.job_order import JobOrder
from factory.errors import Invalid, Problem, Refused
from factory.postprocess.prompt_filter import refusal
from factory.postprocess.prompt_rules import Decision
from factory.storage.naming import file_name

SPECIAL_TOKEN_MARK = "<|"  # noqa: S105 - the start of a chat-template token, no secret
# JavaScript and spreadsheets hold integers exactly up to 2**53: a seed that is read back must draw the same picture.
SEED_BITS = 53
JudgePrompt = Callable[[str], Decision]


@dataclass(frozen=True)
class Limits:
    """What an order may ask for. Sides are pixels."""

    max_side: int = 1024
    max_prompt_characters: int = 2000
    max_rows: int = 100_000


@dataclass(frozen=True)
class Admission:
    """`judge_prompt` asks the prompt rules."""

    limits: Limits
    checkpoints: Mapping[str, Checkpoint]
    judge_prompt: JudgePrompt


@dataclass(frozen=True)
class Admitted:
    """`refusal` is set when a rule said no: such a job is recorded as rejected and never drawn."""

    order: JobOrder
    spec: GenerationSpec
    warnings: list[dict[str, Any]] = field(default_factory=list)
    refusal: Refused | None = None


def admit(order: JobOrder, admission: Admission, *, pointer: str = "") -> Admitted:
    """Check every limit at once. Raises Invalid with one Problem for each field that is wrong."""
    problems: list[Problem] = []
    checkpoint = _checkpoint(order, admission, problems, pointer)
    native = checkpoint.native_side if checkpoint else admission.limits.max_side
    width, height = order.width or native, order.height or native
    for name, given, side in (("width", order.width, width), ("height", order.height, height)):
        _check_side(name, side if given is None else given, admission.limits.max_side, problems, pointer)
    _check_prompt_text(order.prompt, admission.limits, problems, pointer)
    if order.project is not None:
        problems += project_problems(order.project, pointer)
    if problems or checkpoint is None:
        raise Invalid(None, *problems)
    decision = admission.judge_prompt(order.prompt)
    spec = GenerationSpec(
        prompt=order.prompt,
        checkpoint=checkpoint.name,
        checkpoint_sha256=checkpoint.sha256,
        engine=checkpoint.engine,
        width=width,
        height=height,
        seed=secrets.randbits(SEED_BITS) if order.seed is None else order.seed,
        label_profile=order.label_profile,
        policy_version=decision.version,
    )
    refused = refusal(decision.blocked, decision.version) if decision.blocked else None
    return Admitted(order, spec, _warnings(order, decision), refused)


def _checkpoint(order: JobOrder, admission: Admission, problems: list[Problem], pointer: str) -> Checkpoint | None:
    known = admission.checkpoints
    name = order.model or ("default" if "default" in known or len(known) != 1 else next(iter(known)))
    if name not in known:
        listed = ", ".join(sorted(known)[:8]) or "none; an operator adds one with `factory checkpoints add`"
        problems.append(
            Problem("unknown_checkpoint", f"model {name[:60]!r} is not registered; available: {listed}", f"{pointer}/model", order.model)
        )
        return None
    return known[name]


def project_problems(project: str, pointer: str = "") -> list[Problem]:
    """What keeps `project` from standing in file names and storage keys."""
    try:
        file_name(project, date.today(), 1)  # noqa: DTZ011 - any day will do
    except Invalid as fault:
        return [Problem(fault.code, str(fault), f"{pointer}/project", project)]
    return []


def _check_side(name: str, side: int, longest: int, problems: list[Problem], pointer: str) -> None:
    if side < 64 or side > longest:
        problems.append(Problem("size_out_of_range", f"{name} {side} must be 64 … {longest} pixels", f"{pointer}/{name}", side))
    elif side % 16:
        nearest = round(side / 16) * 16
        problems.append(
            Problem("size_not_multiple_of_16", f"{name} {side} must be a multiple of 16; try {nearest}", f"{pointer}/{name}", side)
        )


def _check_prompt_text(prompt: str, limits: Limits, problems: list[Problem], pointer: str) -> None:
    if len(prompt) > limits.max_prompt_characters:
        problems.append(
            Problem(
                "prompt_too_long",
                f"prompt has {len(prompt)} characters; at most {limits.max_prompt_characters} are read, so shorten it",
                f"{pointer}/prompt",
                prompt,
            )
        )
    if SPECIAL_TOKEN_MARK in prompt:
        problems.append(
            Problem(
                "prompt_special_token",
                f"prompt contains {SPECIAL_TOKEN_MARK!r}, which the text encoder would read as a control token; remove it",
                f"{pointer}/prompt",
                prompt,
            )
        )


def _warnings(order: JobOrder, decision: Decision) -> list[dict[str, Any]]:
    found = []
    if order.negative_prompt:
        found.append(("negative_prompt_ignored", "/negative_prompt", "has no effect: this model runs without guidance"))
    if order.guidance_scale not in (None, TURBO_GUIDANCE):
        found.append(("guidance_scale_ignored", "/guidance_scale", f"has no effect: the effective value is {TURBO_GUIDANCE:g}"))
    if order.num_inference_steps not in (None, TURBO_EVALUATIONS):
        found.append(("steps_fixed", "/num_inference_steps", f"has no effect: the effective value is {TURBO_EVALUATIONS}"))
    ignored = [{"code": code, "pointer": pointer, "detail": f"{pointer[1:]} {detail}"} for code, pointer, detail in found]
    return ignored + [
        {
            "code": "prompt_flagged",
            "pointer": "/prompt",
            "detail": hit.suggestion,
            "rule": hit.rule,
            "span": hit.span,
            "matched": hit.matched,
        }
        for hit in decision.hits
        if hit.action == "warn"
    ]
