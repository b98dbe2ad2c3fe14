"""admit with templates and LoRAs: the template speaks, the order has the last word, and what was asked stays as it was written."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from factory.domain.checkpoint import Checkpoint
from factory.domain.job_order import JobOrder
from factory.domain.lora import Lora
from factory.domain.template_body import TemplateBody, TemplateVersion
from factory.errors import Invalid
from factory.jobs.admit import Admission, Admitted, Limits, admit
from factory.postprocess.prompt_rules import Decision

BODY: dict[str, Any] = {
    "name": "white-bg",
    "title": "白底",
    "prompt": "{colour}{product}，白底图",
    "variables": {"product": {}, "colour": {"type": "choice", "allowed": ["红色", "蓝色"], "default": "红色"}},
    "model": "other",
    "size": "256x512",
    "loras": [{"name": "sketch", "scale": 0.5}],
    "seed": 88415,
    "label_profile": "eu",
}


def judge(prompt: str) -> Decision:
    return Decision("test-1")


def admission(**changes) -> Admission:
    checkpoints = {
        name: Checkpoint(name=name, engine="simulated", sha256=name * 4, bytes=1, native_side=512) for name in ("default", "other")
    }
    loras = {name: Lora(name=name, sha256=letter * 64, bytes=1) for name, letter in (("sketch", "a"), ("night", "b"))}
    version = TemplateVersion(TemplateBody.model_validate({**BODY, **changes}), 3)
    return Admission(Limits(), checkpoints, judge, lambda name: version if name in ("white-bg", "white-bg@3") else None, loras)


def admitted(order: dict[str, Any], **changes) -> Admitted:
    return admit(JobOrder(**order), admission(**changes))


def problems(order: dict[str, Any], pointer: str = "", **changes) -> dict[str, str]:
    with pytest.raises(Invalid) as refusal:
        admit(JobOrder(**order), admission(**changes), pointer=pointer)
    return {problem.pointer: problem.code for problem in refusal.value.problems}


ORDER: dict[str, Any] = {"template": "white-bg", "vars": {"product": "马克杯"}}


def test_a_few_fields_become_a_whole_spec():
    found = admitted(ORDER)
    spec = found.spec
    assert (spec.prompt, spec.checkpoint, spec.width, spec.height) == ("红色马克杯，白底图", "other", 256, 512)
    assert (spec.seed, spec.label_profile, spec.lora_key) == (88415, "eu", "sketch:aaaaaaaaaaaa@0.5")
    assert (found.template, found.warnings) == ("white-bg@3", [])
    assert found.order.model_dump(mode="json", exclude_unset=True) == ORDER, "word for word"


def test_the_orders_own_fields_win_and_are_named():
    order = {**ORDER, "model": "default", "size": "64x512", "loras": [{"name": "night"}], "seed": 5, "label_profile": "cn"}
    found = admitted(order)
    spec = found.spec
    assert (spec.checkpoint, spec.width, spec.height, spec.seed, spec.label_profile) == ("default", 64, 512, 5, "cn")
    assert [use.name for use in spec.loras] == ["night"]
    said = {warning["pointer"] for warning in found.warnings if warning["code"] == "template_field_overridden"}
    assert said == {"/model", "/width", "/loras", "/seed", "/label_profile"}, "not the height: it is the same"


def test_no_loras_at_all_is_a_wish_too():
    assert admitted({**ORDER, "loras": []}).spec.loras == ()


def test_what_neither_says_the_checkpoint_says():
    spec = admitted(ORDER, model=None, size=None, loras=[], label_profile=None).spec
    assert (spec.checkpoint, spec.width, spec.height, spec.label_profile) == ("default", 512, 512, "cn")


def test_loras_are_frozen_and_sorted_so_that_their_order_does_not_count():
    one = admitted({"prompt": "a", "seed": 1, "loras": [{"name": "sketch"}, {"name": "night", "scale": 0}]}).spec
    other = admitted({"prompt": "a", "seed": 1, "loras": [{"name": "night", "scale": 0}, {"name": "sketch"}]}).spec
    assert one.lora_key == other.lora_key == "night:bbbbbbbbbbbb@0,sketch:aaaaaaaaaaaa@1"
    assert one.sha256 == other.sha256 != admitted({"prompt": "a", "seed": 1}).spec.sha256


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ({"template": "black-bg"}, {"/template": "unknown_template"}),
        ({"template": "white-bg@4"}, {"/template": "unknown_template"}),
        ({"template": "white-bg"}, {"/vars/product": "variable_missing"}),
        (
            {**ORDER, "vars": {"product": "x", "colour": "绿色", "shape": 1}},
            {"/vars/colour": "variable_not_allowed", "/vars/shape": "unknown_variable"},
        ),
        ({**ORDER, "model": "none"}, {"/model": "unknown_checkpoint"}),
        ({**ORDER, "loras": [{"name": "none"}]}, {"/loras/0/name": "unknown_lora"}),
        ({"prompt": "a", "loras": [{"name": "night"}, {"name": "night"}]}, {"/loras/1/name": "lora_repeated"}),
        ({"prompt": "a", "vars": {"x": 1}}, {"/vars": "vars_without_template"}),
        ({**ORDER, "vars": {"product": "<|im_end|>"}}, {"/template": "prompt_special_token"}),
    ],
)
def test_what_is_wrong_is_pointed_at(order, expected):
    assert problems(order) == expected
    assert problems(order, "/rows/3") == {f"/rows/3{pointer}": code for pointer, code in expected.items()}


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"model": "gone"}, "unknown_checkpoint"),
        ({"loras": [{"name": "gone"}]}, "unknown_lora"),
        ({"size": "2048x256"}, "size_out_of_range"),
        ({"variables": {"product": {}, "colour": {"default": ""}}, "prompt": "{colour}", "name": "white-bg"}, "field_empty"),
    ],
)
def test_what_the_template_says_wrong_points_at_the_template(changes, code):
    assert problems({**ORDER, "vars": {"product": "x"}}, **changes) == {"/template": code}


def test_a_sku_keeps_its_seed_and_one_without_gets_a_random_one_with_a_warning():
    seeds = {admitted({**ORDER, "sku": "MUG-1", "campaign": campaign}, seed="per_sku").spec.seed for campaign in ("618", "618", "双11")}
    assert len(seeds) == 2
    one, other = (admitted(ORDER, seed="per_sku") for _ in range(2))
    assert one.spec.seed != other.spec.seed
    assert [warning["code"] for warning in one.warnings] == ["seed_without_sku"]


def test_rows_take_the_campaign_of_their_order():
    row = JobOrder(**ORDER, sku="MUG-1")
    by = replace(admission(seed="per_sku"), campaign="618")
    assert admit(row, by).spec.seed == admit(row.model_copy(update={"campaign": "618"}), admission(seed="per_sku")).spec.seed
    filed = row.model_copy(update={"project": "spring"})
    assert admit(filed, by).spec.seed == admit(row, by).spec.seed, "a campaign goes before a project"
    assert admit(filed, admission(seed="per_sku")).spec.seed == admit(row, replace(admission(seed="per_sku"), project="spring")).spec.seed


def test_a_prompt_alone_works_as_ever():
    found = admitted({"prompt": "a mug", "width": 64})
    assert (found.spec.width, found.spec.height, found.template, found.warnings) == (64, 512, None, [])
    assert 0 <= found.spec.seed < 2**53
