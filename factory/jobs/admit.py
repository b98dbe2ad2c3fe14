"""admit: an order becomes a frozen spec, or a list of what is wrong with it. Nothing is written here."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from factory.domain.checkpoint import Checkpoint
from factory.domain.expiry import NO_TIMES, Times, never, passed, too_early
from factory.domain.generation_spec import TURBO_EVALUATIONS, TURBO_GUIDANCE, GenerationSpec, LoraUse
from factory.domain.job_order import JobOrder
from factory.domain.lora import Lora
from factory.domain.seed_policy import SEED_BITS, series_of
from factory.domain.template_body import TemplateVersion
from factory.errors import Invalid, Problem, Refused
from factory.jobs.read_wish import Wish, read_wish
from factory.postprocess.prompt_filter import refusal
from factory.postprocess.prompt_rules import Decision
from factory.storage.naming import file_name

SPECIAL_TOKEN_MARK = "<|"  # noqa: S105 - the start of a chat-template token, no secret
JudgePrompt = Callable[[str], Decision]


@dataclass(frozen=True)
class Limits:
    """What an order may ask for. Sides are pixels."""

    max_side: int = 1024
    max_prompt_characters: int = 2000
    max_rows: int = 100_000
    max_queued: int = 200_000


@dataclass(frozen=True)
class Admission:
    """`judge_prompt` asks the prompt rules, `templates` finds the caller's by name or name@version. `campaign` and `project` are
    the whole order's, for seeds of rows that name none; `whole` is when it may begin and ends, for rows that do not say. `moment`: when it
    was ordered, if not now. `held`: how many rows it has already."""

    limits: Limits
    checkpoints: Mapping[str, Checkpoint]
    judge_prompt: JudgePrompt
    templates: Callable[[str], TemplateVersion | None] = lambda _: None
    loras: Mapping[str, Lora] = field(default_factory=dict)
    campaign: str | None = None
    project: str | None = None
    whole: Times = NO_TIMES
    moment: datetime | None = None
    held: int = 0


@dataclass(frozen=True)
class Admitted:
    """`refusal` is set when a rule said no: such a job is recorded as rejected and never drawn. `template` is name@version.
    `by_chance`: the seed was drawn by lot, so that no other order is equal."""

    order: JobOrder
    spec: GenerationSpec
    warnings: list[dict[str, Any]] = field(default_factory=list)
    refusal: Refused | None = None
    template: str | None = None
    by_chance: bool = False


def admit(order: JobOrder, admission: Admission, *, pointer: str = "") -> Admitted:
    """Check every limit at once. Raises Invalid with one Problem for each field that is wrong."""
    problems: list[Problem] = []
    # Only a template draws its seeds within a series.
    series = series_of(order.campaign, admission.campaign, projects=[order.project, admission.project]) if order.template else ""
    wish = read_wish(order, admission.templates, series, problems, pointer)
    checkpoint = _checkpoint(wish, order, admission, problems, pointer)
    native = checkpoint.native_side if checkpoint else admission.limits.max_side
    width, height = (_side(name, wish, order, native, admission.limits.max_side, problems, pointer) for name in ("width", "height"))
    loras = _loras(wish, admission, problems) if wish else ()
    if wish:
        _check_prompt_text(wish, admission.limits, problems)
    if order.project is not None:
        problems += project_problems(order.project, pointer)
    problems += passed(order.expires_at, now=admission.moment, pointer=pointer)
    problems += never(Times.of(order), admission.whole, now=admission.moment, pointer=pointer)
    if problems or checkpoint is None or wish is None:
        raise Invalid(None, *problems)
    decision = admission.judge_prompt(wish.prompt)
    spec = GenerationSpec(
        prompt=wish.prompt,
        checkpoint=checkpoint.name,
        checkpoint_sha256=checkpoint.sha256,
        engine=checkpoint.engine,
        width=width,
        height=height,
        seed=secrets.randbits(SEED_BITS) if wish.seed is None else wish.seed,
        loras=loras,
        label_profile=wish.label_profile,
        policy_version=decision.version,
    )
    late = too_early(order.deadline, order.not_before or admission.whole.not_before)
    refused = refusal(decision.blocked, decision.version) if decision.blocked else None
    return Admitted(order, spec, wish.warnings + _warnings(order, decision) + late, refused, wish.template, by_chance=wish.seed is None)


def _checkpoint(wish: Wish | None, order: JobOrder, admission: Admission, problems: list[Problem], pointer: str) -> Checkpoint | None:
    known, model = admission.checkpoints, (wish or order).model
    name = model or ("default" if "default" in known or len(known) != 1 else next(iter(known)))
    if name not in known:
        listed = ", ".join(sorted(known)[:8]) or "none; an operator adds one with `factory checkpoints add`"
        at = wish.at("model") if wish else f"{pointer}/model"
        problems.append(Problem("unknown_checkpoint", f"model {name[:60]!r} is not registered; available: {listed}", at, model))
        return None
    return known[name]


def _loras(wish: Wish, admission: Admission, problems: list[Problem]) -> tuple[LoraUse, ...]:
    """In the order of their names: the same LoRAs make the same picture however they are listed."""
    found: dict[str, LoraUse] = {}
    for place, wanted in enumerate(wish.loras):
        known = admission.loras.get(wanted.name)
        at = f"{wish.at('loras')}/{place}/name" if "loras" in wish.own else wish.source
        if known is None:
            listed = ", ".join(sorted(admission.loras)[:8]) or "none; an operator adds one with `factory loras add`"
            problems.append(Problem("unknown_lora", f"LoRA {wanted.name[:60]!r} is not registered; available: {listed}", at, wanted.name))
        elif wanted.name in found:
            message = f"LoRA {wanted.name[:60]!r} is named twice; name it once, with the scale that it shall have"
            problems.append(Problem("lora_repeated", message, at, wanted.name))
        else:
            found[wanted.name] = LoraUse(name=known.name, sha256=known.sha256, scale=wanted.scale)
    return tuple(found[name] for name in sorted(found))


def project_problems(project: str, pointer: str = "") -> list[Problem]:
    """What keeps `project` from standing in file names and storage keys."""
    try:
        file_name(project, date.today(), 1)  # noqa: DTZ011 - any day will do
    except Invalid as fault:
        return [Problem(fault.code, str(fault), f"{pointer}/project", project)]
    return []


def _side(name: str, wish: Wish | None, order: JobOrder, native: int, longest: int, problems: list[Problem], pointer: str) -> int:
    given: int | None = getattr(wish or order, name)
    side = native if given is None else given
    if 64 <= side <= longest and side % 16 == 0:
        return side
    at = wish.at(name) if wish else f"{pointer}/{name}"
    if side < 64 or side > longest:
        problems.append(Problem("size_out_of_range", f"{name} {side} must be 64 … {longest} pixels", at, side))
    else:
        nearest = round(side / 16) * 16
        problems.append(Problem("size_not_multiple_of_16", f"{name} {side} must be a multiple of 16; try {nearest}", at, side))
    return side


def _check_prompt_text(wish: Wish, limits: Limits, problems: list[Problem]) -> None:
    prompt = wish.prompt
    if not prompt:
        problems.append(Problem("field_empty", "the prompt is empty; say what to draw", wish.source, prompt))
    if len(prompt) > limits.max_prompt_characters:
        problems.append(
            Problem(
                "prompt_too_long",
                f"prompt has {len(prompt)} characters; at most {limits.max_prompt_characters} are read, so shorten it",
                wish.source,
                prompt,
            )
        )
    if SPECIAL_TOKEN_MARK in prompt:
        problems.append(
            Problem(
                "prompt_special_token",
                f"prompt contains {SPECIAL_TOKEN_MARK!r}, which the text encoder would read as a control token; remove it",
                wish.source,
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
