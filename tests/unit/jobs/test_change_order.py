"""change_order: what is said anew takes the place of what was said before, and nothing else."""

from __future__ import annotations

import pytest

from factory.domain.job_order import JobOrder
from factory.errors import Invalid
from factory.jobs.change_order import change_order, check_changes


def kept(**order):
    """What is kept of an order that was taken."""
    return JobOrder(**order).model_dump(mode="json", exclude_unset=True)


def changed(order, **changes):
    """Changed, and read as an order again."""
    return JobOrder(**change_order(order, changes)).model_dump(exclude_unset=True)


def test_without_changes_an_order_is_what_it_was():
    order = kept(prompt="红杯", sku="S-1", size="640x512", seed=7, tags=["x"], metadata={"shelf": "3"})
    assert changed(order) == JobOrder(prompt="红杯", sku="S-1", size="640x512", seed=7, tags=["x"], metadata={"shelf": "3"}).model_dump(
        exclude_unset=True
    )


def test_one_parameter_is_changed_and_null_takes_back():
    order = kept(prompt="a", seed=7, negative_prompt="b")
    assert changed(order, seed=9, negative_prompt=None) == {"prompt": "a", "seed": 9}


@pytest.mark.parametrize(
    ("before", "changes", "sides"),
    [
        ({"size": "640x512"}, {"size": "512x512"}, (512, 512)),
        ({"size": "640x512"}, {"width": 512}, (512, 512)),
        ({"width": 640, "height": 512}, {"size": "256x128"}, (256, 128)),
        ({"width": 640, "height": 512}, {"height": 128}, (640, 128)),
        ({"size": "640x512"}, {"size": None}, (None, None)),
        ({"size": "640x512"}, {"width": None, "height": None}, (None, None)),
        ({}, {"size": "64x64"}, (64, 64)),
    ],
)
def test_a_size_and_its_sides_never_contradict(before, changes, sides):
    order = JobOrder(**change_order(kept(prompt="a", **before), changes))
    assert (order.width, order.height) == sides


def test_a_prompt_takes_the_place_of_a_template_and_the_other_way_round():
    order = kept(template="white-bg@2", vars={"colour": "red"})
    assert changed(order, prompt="a mug") == {"prompt": "a mug"}
    assert changed(kept(prompt="a mug"), template="white-bg@2", vars={"colour": "red"}) == {
        "template": "white-bg@2",
        "vars": {"colour": "red"},
    }


def test_vars_are_changed_one_by_one():
    order = kept(template="white-bg", vars={"colour": "red", "name": "杯", "old": "x"})
    assert changed(order, vars={"colour": "blue", "old": None})["vars"] == {"colour": "blue", "name": "杯"}
    assert changed(kept(template="white-bg"), vars={"colour": "blue"})["vars"] == {"colour": "blue"}


def test_a_retry_stays_with_the_version_that_was_drawn():
    order = kept(template="white-bg", vars={})
    assert change_order(order, {}, template="white-bg@3")["template"] == "white-bg@3"
    assert change_order(order, {"template": "white-bg@4"}, template="white-bg@3")["template"] == "white-bg@4"
    assert "template" not in change_order(kept(prompt="a"), {}, template="white-bg@3")


def test_what_makes_it_another_row_cannot_be_changed():
    check_changes(["prompt", "seed", "vars"])
    with pytest.raises(Invalid) as refused:
        check_changes(["seed", "sku", "external_id"])
    assert [(problem.code, problem.pointer) for problem in refused.value.problems] == [
        ("unknown_field", "/changes/external_id"),
        ("unknown_field", "/changes/sku"),
    ]


@pytest.mark.parametrize(
    ("before", "changes", "left"),
    [
        ({"expires_in": 60}, {"expires_at": "+8h"}, {"expires_at": "+8h"}),
        ({"expires_at": "2099-01-01T00:00:00Z"}, {"expires_in": 60}, {"expires_in": 60}),
        ({"expires_at": "2099-01-01T00:00:00Z"}, {"expires_at": None}, {}),
        ({"expires_in": 60}, {"seed": 7}, {"expires_in": 60, "seed": 7}),
    ],
)
def test_a_moment_and_seconds_never_contradict(before, changes, left):
    check_changes(changes)
    assert change_order(kept(prompt="a", **before), changes) == {"prompt": "a", **left}
