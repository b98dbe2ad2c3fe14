"""What `factory queue` takes and shows, without a database."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from factory.cli import queue
from factory.cli.exit_codes import Usage

EXPLAINED = {
    "status": "queued",
    "lane": "bulk",
    "position": 12,
    "position_at_least": False,
    "begins_in_seconds": {"from": 3, "to": 40},
    "reasons": [{"code": "in_line", "message": "11 jobs go before it", "change": "as interactive it would be next"}],
}


@pytest.mark.parametrize(("given", "cap"), [("0", 0), ("40", 40), ("none", None), ("None", None)])
def test_a_cap_is_a_number_or_none(given, cap):
    assert queue.read_cap("max_running", given) == cap


@pytest.mark.parametrize("given", ["-1", "many", "", "1.5", "٣"])
def test_a_strange_cap_is_wrong_usage(given):
    with pytest.raises(Usage, match="--max-running"):
        queue.read_cap("max_running", given)


def test_a_lane_has_a_known_name():
    answer = CliRunner().invoke(queue.app, ["pause", "night"])
    assert answer.exit_code == 2


def test_an_explanation_reads_in_one_line_and_a_table(capsys):
    queue.show_explanation(EXPLAINED)
    shown = capsys.readouterr().out
    assert "queued, lane bulk; position 12; begins in 3 … 40 s" in shown
    assert "as interactive it would be next" in shown
