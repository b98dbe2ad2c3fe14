"""How a batch is told, and what of an order is told again, late, or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from factory.cli.show_batch import LISTED, by_itself, in_list, why_nothing_was_retried
from factory.cli.show_plan import show_quote, to_order


def batch(**said: Any) -> dict[str, Any]:
    counts = {"succeeded": 1, "failed": 0, "rejected": 0, "expired": 0, "canceled": 0} | said.pop("counts", {})
    usual = {"id": "b1", "status": "paused", "project": "spring", "total": 3, "rows_refused": 0, "created_at": "2026-11-20T08:00:00+00:00"}
    return {**usual, "counts": counts, **said}


def test_a_list_counts_what_was_refused() -> None:
    line = dict(zip(LISTED, in_list(batch(rows_refused=4, counts={"failed": 2})), strict=True))
    assert (line["not delivered"], line["refused"], line["created"]) == (2, 4, "2026-11-20 08:00:00Z")
    assert in_list(batch())[LISTED.index("refused")] is None


@pytest.mark.parametrize(("kept", "said"), [(True, "likely"), (False, "not likely"), (None, None)])
def test_a_batch_says_whether_its_deadline_is_kept(kept: bool | None, said: str | None) -> None:
    shown = dict(by_itself(batch(deadline_kept=kept)))
    assert shown.get("deadline kept") == said
    assert "rows_refused" not in shown


@pytest.mark.parametrize(
    ("said", "asked", "hints"),
    [
        ({}, [], []),
        ({"rows_refused": 1}, [], ["1 refused row is no job; order it anew"]),
        ({"rows_refused": 2}, ["failed"], ["2 refused rows are no jobs; order them anew"]),
        ({"counts": {"canceled": 2}}, [], ["2 pictures canceled: `--status canceled` retries them"]),
        ({"counts": {"canceled": 2}}, ["canceled"], []),
        ({"counts": {"rejected": 1}}, [], ["1 picture rejected: `--change NAME=VALUE` retries it"]),
    ],
)
def test_what_could_be_done_when_nothing_was_retried(said: dict[str, Any], asked: list[str], hints: list[str]) -> None:
    assert list(why_nothing_was_retried(batch(**said), asked)) == hints


def test_what_is_reused_is_not_said_to_be_drawn() -> None:
    assert to_order({"to_render": 2, "quote": {"reused": 2}}) == "2 pictures to order, 2 of them reused"
    assert to_order({"to_render": 1, "quote": {"reused": 0}}) == "1 picture to order"


def test_a_quote_says_that_a_deadline_is_likely_kept(capsys: pytest.CaptureFixture[str]) -> None:
    numbers = dict.fromkeys(("images", "to_draw", "duplicates", "reused", "rows_blocked", "gpu_seconds", "gpu_seconds_saved", "workers"), 1)
    found: dict[str, Any] = {**numbers, "cost": 0, "currency": "CNY", "finish": {"p50": None, "p90": None}, "finish_unknown": "no worker"}
    show_quote(found | {"deadline_kept": True})
    assert "likely to be kept" in capsys.readouterr().out
    show_quote(found | {"deadline_kept": None})
    assert "deadline" not in capsys.readouterr().out
    show_quote(found | {"deadline_kept": False})
    assert capsys.readouterr().err == "the deadline is not likely to be kept\n"
