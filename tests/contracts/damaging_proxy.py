"""A wire that damages what is sent: forwards TCP to a server and changes every `needle` into as many zeros."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def damaging_proxy(port: int, needle: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Yields the port to speak to and everything that was sent, as it was sent."""
    sent: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    server = socket.create_connection(("127.0.0.1", port))
                    threading.Thread(target=pump, args=(client, server, True), daemon=True).start()
                    threading.Thread(target=pump, args=(server, client, False), daemon=True).start()

        def pump(source: socket.socket, target: socket.socket, damage: bool) -> None:
            with contextlib.suppress(OSError):
                while data := source.recv(1 << 16):
                    if damage:
                        sent.append(data)
                        data = data.replace(needle, bytes(len(needle)))
                    target.sendall(data)
            with contextlib.suppress(OSError):
                target.shutdown(socket.SHUT_WR)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], sent
        listener.shutdown(socket.SHUT_RDWR)
