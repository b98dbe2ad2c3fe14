"""When an order is done, as fair queueing shares the workers."""

from __future__ import annotations

import math

import pytest

from factory.domain.forecast import Flow, Line, forecast


def line(**said: object) -> Line:
    usual: dict[str, object] = {"own": Flow(0.0), "others": [], "ahead": 0.0, "workers": 1}
    return Line(**{**usual, **said})  # type: ignore[arg-type]


def test_alone_it_takes_its_own_time() -> None:
    found = forecast(100, 1, 1.0, line())
    assert [found.p10, found.p50, found.p90] == pytest.approx([85, 100, 125])


def test_speeds_that_nobody_measured_widen_the_range() -> None:
    found = forecast(100, 1, 0.0, line())
    assert [found.p10, found.p90] == pytest.approx([50, 200])


def test_a_small_order_beside_a_large_one_takes_twice_its_time() -> None:
    found = forecast(100, 1, 1.0, line(others=[Flow(10_000)]))
    assert found.p50 == pytest.approx(200)
    assert found.p10 == pytest.approx(85)


def test_weights_share_the_workers() -> None:
    assert forecast(100, 1, 1.0, line(others=[Flow(10_000, 3.0)])).p50 == pytest.approx(400)
    assert forecast(100, 1, 1.0, line(own=Flow(0.0, 3.0), others=[Flow(10_000)])).p50 == pytest.approx(100 * 4 / 3)


def test_what_is_ahead_and_what_the_tenant_has_already_comes_first() -> None:
    assert forecast(100, 1, 1.0, line(own=Flow(50), ahead=30, workers=2)).p50 == pytest.approx(90)


def test_an_order_that_takes_turns_waits_for_as_much_as_it_draws_itself() -> None:
    behind, beside = line(own=Flow(10_000)), line(own=Flow(10_000), beside=1.0)
    assert forecast(100, 1, 1.0, behind).p50 == pytest.approx(10_100)
    found = forecast(100, 1, 1.0, beside)
    assert [found.p10, found.p50, found.p90] == pytest.approx([85, 200, 375])
    assert forecast(100, 1, 1.0, line(own=Flow(10_000), beside=3.0)).p50 == pytest.approx(400)
    assert forecast(100, 1, 1.0, line(own=Flow(20), beside=3.0)).p50 == pytest.approx(120), "never for more than there is"


def test_a_cap_and_the_longest_picture_bound_it() -> None:
    assert forecast(100, 1, 1.0, line(workers=10, cap=2)).p50 == pytest.approx(50)
    assert forecast(10, 8, 1.0, line(workers=10)).p50 == pytest.approx(8)


@pytest.mark.parametrize("said", [{"cap": 0}, {"workers": 0}, {"cap": 0, "ahead": 30}])
def test_who_may_draw_nothing_is_never_done(said: dict[str, object]) -> None:
    found = forecast(100, 1, 1.0, line(**said))
    assert (found.p10, found.p50, found.p90) == (math.inf, math.inf, math.inf)


def test_the_range_is_in_order() -> None:
    for others in ([], [Flow(5)], [Flow(5), Flow(50_000, 7)]):
        found = forecast(100, 1, 0.5, line(others=others, workers=3))
        assert found.p10 <= found.p50 <= found.p90
