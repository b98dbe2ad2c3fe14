"""Free ports on the loopback interface."""

from __future__ import annotations

import random
import socket

# Below every system's ephemeral range: a client that retries against a restarting server on an ephemeral port can connect to itself.
RANGE = range(20_000, 30_000)


def free_port(host: str = "127.0.0.1") -> int:
    """A port nobody listens on now. It may be taken before you bind it; servers retry with another. Raises OSError when none is free."""
    for port in random.sample(RANGE, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port on {host} among 200 tried in {RANGE.start}-{RANGE.stop - 1}")


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could bind it now; false for 0."""
    if not port:
        return False
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True
