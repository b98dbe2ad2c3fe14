"""RateLimit headers: what a client may still queue, as draft-ietf-httpapi-ratelimit-headers writes it."""

from __future__ import annotations

POLICY = '"queued-jobs"'


def limit_headers(*, limit: int, room: int, seconds: int | None = None) -> dict[str, str]:
    """The policy is a depth, not a rate, so it has no window; `seconds` is when there will be a place again.

    Nobody should come back to a queue that takes nothing at all: clients that know `x-should-retry` are told so.
    """
    reset = "" if seconds is None else f";t={seconds}"
    headers = {"RateLimit-Policy": f"{POLICY};q={limit}", "RateLimit": f"{POLICY};r={room}{reset}"}
    if seconds is not None:
        headers["Retry-After"] = str(seconds)
    if limit == 0:
        headers["x-should-retry"] = "false"
    return headers
