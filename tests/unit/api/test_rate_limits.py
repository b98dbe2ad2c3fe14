"""What a client may still queue, in the words of the draft."""

from __future__ import annotations

from factory.api.rate_limits import limit_headers


def test_the_policy_is_a_depth_without_a_window():
    assert limit_headers(limit=200, room=3) == {"RateLimit-Policy": '"queued-jobs";q=200', "RateLimit": '"queued-jobs";r=3'}


def test_a_full_queue_says_when_to_come_back():
    full = limit_headers(limit=200, room=0, seconds=7)
    assert (full["RateLimit"], full["Retry-After"]) == ('"queued-jobs";r=0;t=7', "7")
    assert "x-should-retry" not in full


def test_a_queue_that_takes_nothing_is_not_asked_again():
    assert limit_headers(limit=0, room=0, seconds=60)["x-should-retry"] == "false"
