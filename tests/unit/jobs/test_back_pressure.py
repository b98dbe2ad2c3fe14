"""How long a client whose queue is full stays away."""

from __future__ import annotations

import pytest

from factory.jobs.room import LONGEST_WAIT, SAMPLES, WINDOW_SECONDS, drain_rate, seconds_until


@pytest.mark.parametrize(
    ("excess", "rate", "seconds"),
    [
        (1, 100.0, 1),
        (0, 1.0, 1),
        (10, 1.0, 10),
        (10, 3.0, 4),
        (50_000, 2.0, LONGEST_WAIT),
        (1, 0.0, LONGEST_WAIT),
    ],
)
def test_come_back_when_so_many_were_drawn(excess, rate, seconds):
    assert seconds_until(excess, rate) == seconds


def test_the_rate_is_of_the_window_or_of_what_the_samples_span():
    assert drain_rate(0, 0.0) == 0
    assert drain_rate(WINDOW_SECONDS, 10.0) == 1.0
    assert drain_rate(SAMPLES, 100.0) == SAMPLES / 100
    assert drain_rate(SAMPLES, 0.0) == SAMPLES
