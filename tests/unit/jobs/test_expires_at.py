"""When what nobody drew ends: said in one way, to come, and alike by orders, rows, batches and catalogues."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from factory.domain.catalogue import Catalogue
from factory.domain.expiry import LONGEST, NO_TIMES, Times, expiry, never, passed, too_early
from factory.domain.job_order import JobOrder
from factory.domain.matrix import row_problems
from factory.errors import Invalid
from factory.intake.batch_head import read_head
from factory.intake.columns import Reading
from factory.intake.csv_rows import csv_rows
from factory.intake.rows import parsed_rows
from factory.intake.table import Table
from factory.jobs.apply_catalogue import as_order
from factory.jobs.prepare_batch import ParsedRow, prepare_batch
from tests.integration.jobs.books import ADMISSION, NOON, admitted

FAR = "2099-01-01T00:00:00Z"
FAR_OFF = datetime(2099, 1, 1, tzinfo=UTC)


def order(**said: Any) -> JobOrder:
    return JobOrder.model_validate({"prompt": "a", **said})


def catalogue(**said: Any) -> Catalogue:
    return Catalogue.model_validate({"name": "a", **said})


@pytest.mark.parametrize("read", [order, catalogue])
def test_it_is_a_moment_or_seconds(read) -> None:
    assert (read(expires_at=FAR).expires_at, read(expires_in=60).expires_in) == (FAR_OFF, 60)
    assert read(expires_at="2099-01-01T00:00:00").expires_at == FAR_OFF
    with pytest.raises(ValidationError, match="give `expires_at` or `expires_in`, not both"):
        read(expires_at=FAR, expires_in=60)
    for wrong in ({"expires_at": "soon"}, {"expires_in": 0}, {"expires_in": LONGEST + 1}):
        with pytest.raises(ValidationError):
            read(**wrong)


def test_a_head_says_it_for_its_rows() -> None:
    found = read_head({"expires_at": "+8h"}, {}).as_order()
    assert found.expires_at is not None
    assert timedelta(hours=7) < found.expires_at - datetime.now(UTC) <= timedelta(hours=8)
    assert read_head({"expires_in": "90"}, {}).as_order().expires_in == 90
    sent: list[tuple[dict[str, Any], str]] = [({"expires_at": FAR, "expires_in": 9}, ""), ({"expires_in": 0}, "/expires_in")]
    for wrong, pointer in [*sent, ({"expires_at": "soon"}, "/expires_at")]:
        with pytest.raises(Invalid) as refused:
            read_head({}, wrong)
        assert refused.value.problems[0].pointer == pointer


def test_a_catalogue_says_it_for_its_cells_and_its_rows_do_not() -> None:
    assert (as_order(catalogue(expires_at=FAR)).expires_at, as_order(catalogue(expires_in=60)).expires_in) == (FAR_OFF, 60)
    assert [problem.code for problem in row_problems({"sku": "A", "expires_at": FAR})] == ["catalogue_decides"]


def test_a_table_has_a_column_for_it() -> None:
    text = "prompt,订单过期时间\na,2099-01-01T08:00:00+08:00\nb,\n"
    rows = parsed_rows(csv_rows(io.BytesIO(text.encode()), Table(Reading())))
    assert [row.order.expires_at for row in rows if row.order] == [FAR_OFF, None]


def test_further_than_the_calendar_goes_is_a_wrong_value() -> None:
    with pytest.raises(ValidationError, match="year 9999"):
        order(expires_at="+9999999d")


def test_what_has_passed_is_told() -> None:
    assert passed(None) == passed(NOON, now=NOON - timedelta(seconds=1)) == passed(FAR_OFF) == []
    (problem,) = passed(NOON, now=NOON, pointer="/rows/3")
    assert (problem.code, problem.pointer, problem.value) == ("invalid_value", "/rows/3/expires_at", NOON.isoformat())
    assert "has passed" in problem.message


def test_the_end_of_what_is_ordered_now() -> None:
    assert expiry(NOON, None, None) is None
    assert expiry(NOON, FAR_OFF, None) == FAR_OFF
    assert expiry(NOON, None, 60) == NOON + timedelta(seconds=60)
    with pytest.raises(Invalid, match="has passed"):
        expiry(NOON, NOON, None)


def test_it_is_asked_when_ordering_not_when_reading() -> None:
    """An order that was taken may be sent again after its end; it is read first, and then found."""
    assert order(expires_at="2020-01-01T00:00:00Z").expires_at is not None
    with pytest.raises(Invalid) as refused:
        admitted(expires_at="2020-01-01T00:00:00Z", width=17)
    assert {problem.pointer for problem in refused.value.problems} == {"/expires_at", "/width"}


def test_a_row_that_would_have_expired_refuses_only_itself() -> None:
    orders = order(expires_at="2020-01-01T00:00:00Z"), order(expires_at="+1h"), order(expires_in=60)
    prepared = prepare_batch((ParsedRow(number, one) for number, one in enumerate(orders, 1)), ADMISSION)
    assert [(error["row"], error["code"], error["pointer"]) for error in prepared.errors] == [(1, "invalid_value", "/expires_at")]
    assert [number for number, _ in prepared] == [2, 3]


HOUR = timedelta(hours=1)
LATER = Times(not_before=NOON + 2 * HOUR)


@pytest.mark.parametrize(
    ("own", "whole", "pointer", "said"),
    [
        (Times(NOON + HOUR, NOON + HOUR / 2), NO_TIMES, "/not_before", ["(`not_before`)", "(`expires_at`)"]),
        (Times(NOON + HOUR, NOON + HOUR), NO_TIMES, "/not_before", ["a later `expires_at`"]),
        (Times(NOON + HOUR, None, 60), NO_TIMES, "/not_before", ["(`not_before`)", "a later `expires_in`"]),
        (Times(None, NOON + HOUR), LATER, "/expires_at", ["(`not_before` of the whole order)", "(`expires_at`)"]),
        (Times(None, None, 60), LATER, "/expires_in", ["(`not_before` of the whole order)", "(`expires_in`)"]),
        (Times(NOON + HOUR), Times(None, None, 60), "/not_before", ["(`expires_in` of the whole order)"]),
    ],
)
def test_an_end_before_the_beginning_is_told_with_both_names(own: Times, whole: Times, pointer: str, said: list[str]) -> None:
    (problem,) = never(own, whole, now=NOON, pointer="/rows/3")
    assert (problem.code, problem.pointer) == ("invalid_value", f"/rows/3{pointer}")
    assert all(part in problem.message for part in said)


@pytest.mark.parametrize(
    ("own", "whole"),
    [
        (NO_TIMES, NO_TIMES),
        (Times(NOON + HOUR, NOON + 2 * HOUR), NO_TIMES),
        (Times(NOON - HOUR, NOON - 2 * HOUR), NO_TIMES),
        (NO_TIMES, Times(NOON + HOUR, NOON)),
        (Times(NOON + HOUR, None, 7200), Times(None, NOON + HOUR / 2)),
        (Times(NOON + HOUR, NOON + 2 * HOUR), Times(NOON + 3 * HOUR, None, 60)),
    ],
)
def test_what_a_row_says_wins_and_what_it_does_not_say_is_not_its_fault(own: Times, whole: Times) -> None:
    assert never(own, whole, now=NOON) == []


def test_a_row_that_would_end_before_it_begins_refuses_only_itself() -> None:
    orders = order(not_before="+2h", expires_in=60), order(expires_in=60), order(expires_in=7200), order(not_before="+1m")
    by = replace(ADMISSION, whole=Times(not_before=datetime.now(UTC) + HOUR))
    prepared = prepare_batch((ParsedRow(number, one) for number, one in enumerate(orders, 1)), by)
    found = [(error["row"], error["code"], error["pointer"]) for error in prepared.errors]
    assert found == [(1, "invalid_value", "/not_before"), (2, "invalid_value", "/expires_in")]
    assert [number for number, _ in prepared] == [3, 4]


def test_a_deadline_that_nothing_can_keep_is_a_warning() -> None:
    warned = admitted(not_before="+2h", deadline="+1h").warnings
    assert [(found["code"], found["pointer"]) for found in warned] == [("deadline_before_start", "/deadline")]
    assert too_early(NOON, NOON) == too_early(None, NOON) == too_early(NOON, None) == []
