"""Free ports are free, and outside the range from which clients connect."""

import socket

from factory.embedded.ports import RANGE, free_port


def test_a_free_port_can_be_bound_and_lies_below_the_ephemeral_range():
    port = free_port()
    assert port in RANGE
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do: former connections may linger on it
        server.bind(("127.0.0.1", port))


def test_a_port_somebody_listens_on_is_never_given():
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", free_port()))
        taken.listen()
        assert all(free_port() != taken.getsockname()[1] for _ in range(50))
