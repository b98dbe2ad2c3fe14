"""Guard: which URLs a message may go to. A customer names the URL, so it must not lead into a network of ours."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import quote, urlsplit

import idna

from factory.errors import Invalid, Problem

Network = IPv4Network | IPv6Network
Resolver = Callable[[str], Sequence[str]]

LONGEST = 2048
USUAL = {"https": 443, "http": 80}
LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
NAME = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})*")
NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")
OWN_NAMES = (".internal", ".local", ".localhost", ".localdomain", ".lan", ".home", ".corp", ".intranet", ".private", ".home.arpa")
# Not private by their number everywhere, yet no place of the public Internet: protocols' own blocks, relays into IPv4, documentation,
# and what clouds answer their own machines on.
CLOSED_IPV4 = ("100.64.0.0/10", "192.0.0.0/24", "192.88.99.0/24", "198.18.0.0/15", "168.63.129.16/32")
CLOSED_IPV6 = ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
CLOSED = tuple(ip_network(text) for text in CLOSED_IPV4 + CLOSED_IPV6)
GLOBAL_IPV6 = ip_network("2000::/3")


@dataclass(frozen=True)
class Reach:
    """What may be reached beside https on port 443 of public addresses: `networks` with any port and scheme,
    and with `plain_http` also http on port 80."""

    networks: tuple[Network, ...] = ()
    plain_http: bool = False


PUBLIC = Reach()


@dataclass(frozen=True)
class Target:
    """A URL taken apart once, so that nobody reads it differently later. `host` is ASCII or an IP address, `target` path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """As the Host header says it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == USUAL[self.scheme] else f"{host}:{self.port}"

    @property
    def is_address(self) -> bool:
        return ":" in self.host or bool(NUMBER.fullmatch(self.host.rpartition(".")[2]))


def read_networks(text: str) -> tuple[Network, ...]:
    """`127.0.0.0/8, 10.1.0.0/16`. Raises ValueError that names the wrong one."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def check_url(url: str, reach: Reach = PUBLIC) -> Target:
    """All that can be told without asking a name server. Raises Invalid with the code url_not_allowed."""
    if len(url) > LONGEST or "\\" in url or any(not character.isprintable() or character.isspace() for character in url):
        raise not_allowed(url, f"it must be at most {LONGEST} characters, without spaces, backslashes and control characters")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as fault:
        raise not_allowed(url, "it is no valid URL") from fault
    if parts.scheme not in USUAL:
        raise not_allowed(url, "it must start with https://")
    if "@" in parts.netloc:
        raise not_allowed(url, "it must not hold a user name or password")
    if parts.hostname == "localhost" and is_in("127.0.0.1", reach.networks):
        raise not_allowed(url, "localhost is a name of an inner network; write 127.0.0.1")
    host = _host(url, parts.hostname or "", in_brackets="[" in parts.netloc)
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (f"?{quote(parts.query, safe=QUERY)}" if parts.query else "")
    target = Target(parts.scheme, host, USUAL[parts.scheme] if port is None else port, path)
    if not _is_usual(target, reach) and not reach.networks:
        raise not_allowed(url, "it must be https on port 443")
    if target.is_address:
        check_addresses(target, [host], reach)
    return target


QUERY = "/?%:@!$&'()*+,;=~-._"


def check_addresses(target: Target, addresses: Sequence[str], reach: Reach = PUBLIC) -> None:
    """One address that is not allowed condemns all of them: whoever answers for the name chooses which is used. Raises Invalid."""
    own = [is_in(address, reach.networks) for address in addresses]
    if not all(allowed or is_public(address) for allowed, address in zip(own, addresses, strict=True)):
        raise not_allowed(f"{target.scheme}://{target.authority}", "its address is not a public one")
    if not _is_usual(target, reach) and not all(own):
        raise not_allowed(f"{target.scheme}://{target.authority}", "it must be https on port 443")


def is_in(address: str, networks: Sequence[Network]) -> bool:
    ip = ip_address(address)
    return any(ip in network for network in networks)


def is_public(address: str) -> bool:
    """Somewhere in the public Internet, by itself: an IPv6 address that stands for an IPv4 one is not."""
    ip = ip_address(address)
    if isinstance(ip, IPv6Address) and (ip not in GLOBAL_IPV6 or ip.scope_id):
        return False
    special = ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_reserved or ip.is_unspecified
    return ip.is_global and not special and not any(ip in network for network in CLOSED)


def not_allowed(url: str, why: str) -> Invalid:
    return Invalid(None, Problem("url_not_allowed", f"url {url[:80]!r} is not allowed: {why}", "/url", url))


def _is_usual(target: Target, reach: Reach) -> bool:
    return (target.scheme == "https" or reach.plain_http) and target.port == USUAL[target.scheme]


def _host(url: str, name: str, *, in_brackets: bool) -> str:
    """The host as one spelling. Whatever some library would read as an IPv4 address in disguise is refused."""
    if in_brackets:
        try:
            return str(IPv6Address(name))
        except ValueError as fault:
            raise not_allowed(url, "the address in brackets is no IPv6 address") from fault
    name = unicodedata.normalize("NFKC", name).lower()
    if not name.isascii():
        try:
            name = idna.encode(name, uts46=True).decode()
        except UnicodeError as fault:  # IDNAError is one
            raise not_allowed(url, "the host name is not a valid international one") from fault
    if not NAME.fullmatch(name):
        raise not_allowed(url, "the host must be a name of letters, digits, hyphens and dots, without a dot at the end")
    if NUMBER.fullmatch(name.rpartition(".")[2]):
        try:
            return str(IPv4Address(name))
        except ValueError as fault:
            raise not_allowed(url, "write an IPv4 address as four decimal numbers, or better a name") from fault
    if "." not in name or name.endswith(OWN_NAMES):
        raise not_allowed(url, "the host is a name of an inner network")
    return name
