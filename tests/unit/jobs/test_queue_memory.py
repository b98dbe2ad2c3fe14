"""A long queue is counted once a second, a short one each time."""

from __future__ import annotations

from factory.jobs.queue_memory import FEW, SECONDS, QueueMemory


def test_a_short_queue_is_counted_each_time():
    memory, counts = QueueMemory(lambda: 0.0), iter([3, FEW, 0])
    assert [memory.queued("t", "", lambda: next(counts)) for _ in range(3)] == [3, FEW, 0]


def test_a_long_one_is_remembered_for_a_second_and_grows_by_its_askers():
    now = [0.0]
    memory, counts = QueueMemory(lambda: now[0]), iter([5000, 4000, 10, 11])

    def ask(user: str = "") -> int:
        return memory.queued("t", user, lambda: next(counts))

    assert [ask(), ask(), ask()] == [5000, 5001, 5002]
    now[0] += SECONDS
    assert [ask(), ask()] == [4000, 4001]
    assert ask("ana") == 10
    assert ask() == 4002
    now[0] += SECONDS
    assert ask() == 11


def test_while_one_counts_the_others_go_by_the_old_number():
    now = [0.0]
    memory = QueueMemory(lambda: now[0])
    memory.queued("t", "", lambda: 5000)
    now[0] += SECONDS
    beside: list[int] = []

    def slow() -> int:
        beside.append(memory.queued("t", "", lambda: 0))
        return 7000

    assert memory.queued("t", "", slow) == 7000
    assert beside == [5002]
