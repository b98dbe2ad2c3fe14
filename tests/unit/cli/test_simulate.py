"""What `factory simulate` says of goals that were met and that were missed."""

from __future__ import annotations

from factory.cli.simulate import _show, facts
from factory.simulate.arrivals import arrivals
from factory.simulate.goals import Goal
from factory.simulate.scenario import Scenario
from factory.simulate.simulate import Outcome, play_peer

SCENARIO = Scenario(jobs=40, workers=2)
GOALS = [
    Goal("pictures lost", 0, 0),
    Goal("interactive p99 until finished, seconds", 13.06, 13.05),
    Goal("times fewer loads than fifo", 4.9, 5.0, at_least=True),
]


def outcome(found: list[Goal]) -> Outcome:
    return Outcome(SCENARIO, [play_peer("fifo", SCENARIO, arrivals(SCENARIO))], found)


def test_each_goal_stands_with_its_figure_its_bound_and_its_verdict(capsys):
    _show(outcome(GOALS))
    shown = {" ".join(line.split()) for line in capsys.readouterr().out.splitlines()}
    assert shown >= {
        "pictures lost 0 ≤ 0 met",
        "interactive p99 until finished, seconds 13.06 ≤ 13.05 MISSED",
        "times fewer loads than fifo 4.9 ≥ 5 MISSED",
    }


def test_programs_are_told_the_same():
    seen = facts(outcome(GOALS))
    assert [goal["met"] for goal in seen["goals"]] == [True, False, False]
    assert seen["goals_met"] is False
    assert facts(outcome(GOALS[:1]))["goals_met"] is True
    assert facts(outcome([]))["goals_met"] is None, "of other policies than ours nothing is asked"
