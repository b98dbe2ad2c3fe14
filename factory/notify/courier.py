"""Courier: one POST to one checked address. No redirects, no proxies, no more than 64 kB of answer, no more than 15 seconds."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import certifi
import httpcore

from factory.errors import Transient
from factory.notify.guard import PUBLIC, Reach, Resolver, Target, check_addresses, check_url

MOST = 64 * 1024
DEADLINE = 15.0
CONNECT, READ, RESOLVE = 5.0, 10.0, 5.0
FAULTS = (httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError)
USER_AGENT = "content-factory"


class Unreachable(Transient):
    """The receiver did not answer in time, or not in HTTP."""

    code = "unreachable"


@dataclass(frozen=True)
class Answer:
    """What came back: header names in small letters, the body cut at 64 kB, wall seconds."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    seconds: float = 0.0


def ask_name_server(host: str) -> list[str]:
    """Every address of a name. Raises OSError."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class Courier:
    """Safe from several threads. `reach` says what may be reached beside the public Internet, `trust` which certificates count."""

    def __init__(
        self,
        reach: Reach = PUBLIC,
        *,
        resolver: Resolver = ask_name_server,
        deadline: float = DEADLINE,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.reach, self.deadline = reach, deadline
        self._resolver = resolver
        self._trust = trust or _usual_trust()

    def post(self, url: str, *, content: bytes, headers: Mapping[str, str]) -> Answer:
        """The name is resolved once, and only what was checked is dialled. Raises Invalid (url_not_allowed), Unreachable."""
        started = time.monotonic()
        end = started + self.deadline
        target = check_url(url, self.reach)
        addresses = self._addresses(target, end)
        check_addresses(target, addresses, self.reach)
        fault: Exception | None = None
        for address in addresses[:2]:
            try:
                return self._post(target, address, content, headers, started, end)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as refused:  # nothing was sent yet
                fault = refused
            except FAULTS as broken:
                raise Unreachable(_short(target, broken)) from broken
        raise Unreachable(_short(target, fault)) from fault

    def _addresses(self, target: Target, end: float) -> Sequence[str]:
        if target.is_address:
            return [target.host]
        found: list[Any] = []
        # The system's resolver takes no deadline of ours.
        thread = threading.Thread(target=_resolve_into, args=(found, self._resolver, target.host), name="resolver", daemon=True)
        thread.start()
        thread.join(min(RESOLVE, max(0.0, end - time.monotonic())))
        outcome = found[0] if found else TimeoutError("the name server did not answer")
        if isinstance(outcome, Exception) or not outcome:
            fault = outcome if isinstance(outcome, Exception) else None
            raise Unreachable(f"{target.host} has no address: {fault or 'none was found'}"[:200]) from fault
        addresses: Sequence[str] = outcome
        return addresses

    def _post(self, target: Target, address: str, content: bytes, headers: Mapping[str, str], started: float, end: float) -> Answer:
        url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=target.target)
        sent = {"Host": target.authority, "User-Agent": USER_AGENT, "Accept": "*/*", "Connection": "close", **headers}
        timeout = {"connect": CONNECT, "read": READ, "write": READ, "pool": CONNECT}
        with (
            # A pool of its own for each message: a connection that was opened for another name at this address is never used again.
            httpcore.ConnectionPool(
                ssl_context=self._trust, max_connections=1, max_keepalive_connections=0, network_backend=_Pinned(address, end)
            ) as pool,
            pool.stream("POST", url, headers=list(sent.items()), content=content, extensions={"timeout": timeout}) as response,
        ):
            body = bytearray()
            for piece in response.iter_stream():
                body += piece
                if len(body) >= MOST:
                    break
            named = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return Answer(response.status, named, bytes(body[:MOST]), round(time.monotonic() - started, 3))


def _usual_trust() -> ssl.SSLContext:
    """What this machine trusts, a company's own authority included, and the usual list where a machine has none."""
    trust = ssl.create_default_context()
    trust.load_verify_locations(certifi.where())
    return trust


def _resolve_into(found: list[Any], resolver: Resolver, host: str) -> None:
    try:
        found.append(list(resolver(host)))
    except (OSError, UnicodeError) as fault:
        found.append(fault)


def _short(target: Target, fault: Exception | None) -> str:
    return f"{target.authority}: {type(fault).__name__}: {str(fault)[:120]}"


class _Pinned(httpcore.NetworkBackend):
    """Dials one address, whatever host is asked for; TLS and Host keep the name."""

    def __init__(self, address: str, end: float) -> None:
        self._address, self._end = address, end
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self._end, timeout, httpcore.ConnectTimeout)
        return _Bounded(self._backend.connect_tcp(self._address, port, left, local_address, socket_options), self._end)


class _Bounded(httpcore.NetworkStream):
    """A stream whose every wait ends with the deadline: a peer that drips one byte now and then does not hold us."""

    def __init__(self, stream: httpcore.NetworkStream, end: float) -> None:
        self._stream, self._end = stream, end

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(self._end, timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(self._end, timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        left = _left(self._end, timeout, httpcore.ConnectTimeout)
        return _Bounded(self._stream.start_tls(ssl_context, server_hostname, left), self._end)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(end: float, timeout: float | None, late: type[Exception]) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise late("the time for this message is over")
    return left if timeout is None else min(timeout, left)
