"""Signed links to the files that the API serves. Whoever holds one may fetch one file until it ends."""

from __future__ import annotations

import hashlib
import hmac
import time
from urllib.parse import quote, urlencode

from factory.errors import Forbidden, Invalid, Permanent, Problem
from factory.storage.naming import check_filename, check_key

LONGEST_SECONDS = 604_800  # what SigV4 allows; the same for every storage


def check_seconds(seconds: int) -> None:
    if not 1 <= seconds <= LONGEST_SECONDS:
        raise Invalid(None, Problem("seconds_out_of_range", f"seconds {seconds} must be 1 … {LONGEST_SECONDS}", "/seconds", seconds))


def sign_link(public_url: str, secret: str, key: str, *, seconds: int, filename: str) -> str:
    """`{public_url}/files/{key}?expires=…&name=…&signature=…`. Raises Invalid, or Permanent for a short secret."""
    check_key(key)
    check_filename(filename)
    check_seconds(seconds)
    if len(secret) < 32:
        raise Permanent(f"FACTORY_LINK_SECRET has {len(secret)} characters: give it at least 32 random ones")
    expires = int(time.time()) + seconds
    query = urlencode({"expires": expires, "name": filename, "signature": _signature(secret, key, str(expires), filename)}, quote_via=quote)
    return f"{public_url.rstrip('/')}/files/{quote(key)}?{query}"


def verify_link(secret: str, key: str, *, expires: str, name: str, signature: str) -> None:
    """The three values as they came in the query, decoded. Raises Forbidden (`link_invalid` or `link_expired`)."""
    if len(secret) < 32 or not hmac.compare_digest(_signature(secret, key, expires, name).encode(), signature.encode(errors="replace")):
        raise Forbidden("the link was changed or is not ours; ask for a new one", code="link_invalid")
    if int(expires) <= time.time():
        raise Forbidden("the link has ended; ask for a new one", code="link_expired")


def _signature(secret: str, key: str, expires: str, filename: str) -> str:
    # Neither a key nor a number holds a line end, so no two triples give the same text.
    text = f"file link v1\n{key}\n{expires}\n{filename}"
    return hmac.new(secret.encode(), text.encode(errors="replace"), hashlib.sha256).hexdigest()
