"""Caller: the log keeps the class of an address, never the address."""

from __future__ import annotations

import pytest

from factory.domain.caller import network_class


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("10.1.2.3", "private"),
        ("192.168.0.9", "private"),
        ("fd00::1", "private"),
        ("8.8.8.8", "public"),
        ("unix:/run/socket", None),
        ("", None),
        (None, None),
    ],
)
def test_network_class(address, expected):
    assert network_class(address) == expected
