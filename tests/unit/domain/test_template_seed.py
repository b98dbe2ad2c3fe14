"""Seeds by policy: the same picture is asked for with the same seed, whoever asks and when."""

from __future__ import annotations

import pytest

from factory.domain.seed_policy import SeedPolicy, derived_seed, seed_by_policy, series_of


def seed(policy, **changes):
    rule = SeedPolicy.model_validate(policy)
    return seed_by_policy(rule, **{"series": "618", "template": "white-bg", "sku": "MUG-1", "slot": "main", "candidate": 1, **changes})


def test_a_derived_seed_is_the_same_for_ever():
    assert derived_seed("sku", "618", "MUG-1", "main", 1) == 4_057_230_037_818_618
    assert all(0 <= derived_seed(n) < 2**53 for n in range(200))
    assert max(derived_seed(n) for n in range(200)) > 2**52, "all 53 bits count"


def test_parts_do_not_run_together():
    assert derived_seed("a", "bc") != derived_seed("ab", "c") != derived_seed("a", "b", "c")
    assert derived_seed("1") != derived_seed(1)


def test_a_sku_keeps_its_look_whatever_the_template():
    assert seed("per_sku") == seed("per_sku", template="other")
    assert (
        len(
            {
                seed("per_sku", **{name: value})
                for name, value in {"sku": "MUG-2", "slot": "detail", "candidate": 2, "series": "双11"}.items()
            }
        )
        == 4
    )
    assert seed("per_sku", sku=None) is None


def test_a_single_job_and_a_catalogue_row_of_one_product_draw_alike():
    assert seed("per_sku", slot=None, candidate=None, series=series_of(None)) == seed("per_sku", slot="main", candidate=1, series="default")


def test_a_series_shares_one():
    assert seed("per_series") == seed("per_series", sku="other", slot="detail")
    assert len({seed("per_series"), seed("per_series", template="b"), seed("per_series", series="b"), seed("per_series", candidate=2)}) == 4


@pytest.mark.parametrize(
    ("campaigns", "projects", "series"),
    [
        (("row", "order"), ("p",), "row"),
        ((None, "order"), ("p",), "order"),
        ((" ", " order "), (), "order"),
        ((None, None), (None, "p"), "p"),
        ((618,), (), "618"),
        ((), (), "default"),
    ],
)
def test_the_series_is_the_first_campaign_that_is_said_then_the_project(campaigns, projects, series):
    assert series_of(*campaigns, projects=projects) == series


@pytest.mark.parametrize(("candidate", "expected"), [(None, 88415), (1, 88415), (2, 88416), (100, 88514)])
def test_a_fixed_one_counts_on_for_further_candidates(candidate, expected):
    assert seed(88415, candidate=candidate) == expected


def test_the_largest_fixed_seed_stays_exact():
    assert seed(2**53 - 1, candidate=2) == 0


def test_chance_is_left_to_the_caller():
    assert seed("random") is None
