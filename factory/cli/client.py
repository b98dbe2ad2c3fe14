"""Client: the factory's HTTP API as the commands use it."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

import httpx

from factory.cli.exit_codes import Denied, Failed, NotReachable, Usage
from factory.cli.home import home

API = "/api/v1"
TRIES = 4
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


class Client:
    """`url` is where the API listens, `key` an API key. Raises NotReachable and Failed with the API's own words."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url.rstrip("/")
        # A proxy from the environment has no business between us and this machine.
        trust_env = urlsplit(url).hostname not in LOOPBACK
        self._http = httpx.Client(
            base_url=self.url, headers={"Authorization": f"Bearer {key}"}, timeout=httpx.Timeout(90, connect=5), trust_env=trust_env
        )

    def get(self, path: str, **params: Any) -> Any:
        return self._ask("GET", path, params=_given(params)).json()

    def post(self, path: str, **content: Any) -> Any:
        """As `order`, without what is known only of orders."""
        return self.order(path, **content)[0]

    def order(self, path: str, *, params: Mapping[str, Any] | None = None, once: str = "", **content: Any) -> tuple[Any, bool]:
        """The answer, and whether it is of something new: an order that was there before is answered with 200.

        Sent with an Idempotency-Key, so that trying again after a lost answer orders nothing twice."""
        headers = {"Idempotency-Key": once or str(uuid.uuid4()), **content.pop("headers", {})}
        answer = self._ask("POST", path, params=_given(params or {}), headers=headers, **content)
        return answer.json(), answer.status_code != 200

    def delete(self, path: str) -> None:
        self._ask("DELETE", path)

    def pages(self, path: str, *, limit: int, **params: Any) -> Iterator[dict[str, Any]]:
        """Rows of a list, page after page, at most `limit` of them; 0 = all."""
        left, cursor = limit or 10**12, None
        while left > 0:
            page = self.get(path, limit=min(left, 200), cursor=cursor, **params)
            yield from page["data"]
            left -= len(page["data"])
            cursor = page.get("next_cursor")
            if not cursor:
                return

    def lines(self, path: str, **params: Any) -> Iterator[bytes]:
        """A long answer in pieces, as it arrives."""
        try:
            with self._http.stream("GET", API + path, params=_given(params)) as answer:
                if answer.is_error:
                    answer.read()
                    raise _problem(answer)
                yield from answer.iter_bytes()
        except httpx.TransportError as fault:
            raise self._unreachable(fault) from fault

    def save(self, job: Mapping[str, Any], folder: Path) -> Path:
        """Download a job's picture into `folder` under its own name."""
        asset = job["asset"]
        answer = self._ask("GET", f"/assets/{asset['id']}/content", follow_redirects=True)
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / Path(asset["filename"]).name
        file.write_bytes(answer.content)
        return file

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        for tried in range(1, TRIES + 1):
            try:
                answer = self._http.request(method, API + path, **request)
            except httpx.TransportError as fault:
                if tried == TRIES:
                    raise self._unreachable(fault) from fault
            else:
                if not (answer.status_code in {429, 503} and tried < TRIES):
                    break
            time.sleep(0.3 * 2**tried)
        if answer.is_error:
            raise _problem(answer)
        return answer

    def _unreachable(self, fault: Exception) -> NotReachable:
        return NotReachable(f"no answer from {self.url} ({type(fault).__name__}): is the factory up? See `factory up`, or set FACTORY_URL")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()


def connect() -> Client:
    """FACTORY_URL and FACTORY_API_KEY, else the stack that `factory up` runs in this checkout. Raises Usage."""
    url, key = os.environ.get("FACTORY_URL", ""), os.environ.get("FACTORY_API_KEY", "")
    here = home()
    if not url:
        url = str(here.facts().get("url", ""))
        if not url:
            raise Usage(
                f"no factory to talk to: set FACTORY_URL and FACTORY_API_KEY, or start one with `factory up` (looked in {here.folder})"
            )
        key = key or _key_of(here.key_file)
    if not key:
        raise Usage("FACTORY_API_KEY is not set: `factory keys create --tenant …` makes one")
    if urlsplit(url).scheme not in {"http", "https"}:
        raise Usage(f"FACTORY_URL={url!r} must start with http:// or https://")
    return Client(url, key)


def _key_of(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError as fault:
        raise Usage(f"cannot read the API key in {file} ({fault.strerror}): set FACTORY_API_KEY") from fault


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value not in (None, "", [], ())}


def _problem(answer: httpx.Response) -> Failed:
    """The API's problem+json as one line."""
    body: Any = None
    try:
        body = answer.json()
        errors = [f"{error['pointer']}: {error['detail']}" for error in body.get("errors", []) if error["detail"] != body["detail"]]
        more = f" ({'; '.join(errors[:3])}{'; …' if len(errors) > 3 else ''})" if errors else ""
        message = f"{body['detail']}{more} [{body['code']}]"
    except (ValueError, KeyError, TypeError):
        message = f"{answer.request.url} answered {answer.status_code}: is it a content factory?"
    if answer.status_code in {502, 503, 504}:
        return NotReachable(message)
    return Denied(message, body) if isinstance(body, dict) else Failed(message)
