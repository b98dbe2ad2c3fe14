"""Rows laid aside: cut where the queue is full, and each prompt judged once."""

from __future__ import annotations

from factory.domain.job_order import JobOrder
from factory.errors import Problem
from factory.jobs.admit import Admission, Limits
from factory.jobs.prepare_batch import ParsedRow, prepare_batch
from factory.postprocess.prompt_rules import Decision
from tests.integration.jobs.books import checkpoint


def rows(*prompts: str, **more):
    return [ParsedRow(number, JobOrder(prompt=prompt, **more)) for number, prompt in enumerate(prompts, 1)]


def admission(judged: list[str]) -> Admission:
    def judge(prompt: str) -> Decision:
        judged.append(prompt)
        return Decision("test")

    return Admission(Limits(), {"default": checkpoint("default")}, judge)


def test_rows_beyond_the_places_are_told_and_the_next_one_is_known():
    prepared = prepare_batch(rows("a", "b", "c", "d"), admission([]))
    prepared.cut(2, lambda number: Problem("queue_full", f"row {number} has no place"))
    assert [number for number, _ in prepared] == [1, 2]
    assert (prepared.rows, prepared.refused, prepared.next_row) == (2, 2, 3)
    assert [(error["row"], error["code"]) for error in prepared.errors] == [(3, "queue_full"), (4, "queue_full")]


def test_an_order_with_room_is_not_cut():
    prepared = prepare_batch(rows("a", "b"), admission([]))
    prepared.cut(2, lambda number: Problem("queue_full", f"row {number} has no place"))
    assert (prepared.rows, prepared.refused, prepared.next_row) == (2, 0, None)


def test_one_prompt_in_many_sizes_is_judged_once():
    judged: list[str] = []
    prepare_batch([*rows("a", "a"), *rows("b", "a", width=64)], admission(judged))
    assert judged == ["a", "b"]


def test_a_refused_row_leaves_its_name_to_the_next():
    sent = [
        ParsedRow(1, JobOrder(prompt="a", external_id="x", width=65)),
        *(ParsedRow(n, JobOrder(prompt="a", external_id="x")) for n in (2, 3)),
    ]
    prepared = prepare_batch(sent, admission([]))
    assert [number for number, _ in prepared] == [2]
    assert [(error["row"], error["code"]) for error in prepared.errors] == [(1, "size_not_multiple_of_16"), (3, "external_id_repeated")]
    assert "row 2" in prepared.errors[1]["detail"]
