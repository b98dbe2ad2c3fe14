"""RunningStack: the whole factory in one folder, started step by step, tended, and stopped in order."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from factory.cli.demo_checkpoint import lay_demo_checkpoint
from factory.cli.exit_codes import Failed
from factory.cli.home import ROOT, Home, read_json, write_private
from factory.cli.settings_here import operator
from factory.embedded.folder import FolderInUse, private_folder, secret
from factory.embedded.ports import free_port, is_free
from factory.embedded.server import ServerFailed
from factory.embedded.stack import Role, Stack

TENANT = "demo"
API_SECONDS = 90.0
FLOWER_USER = "ops"
# What another factory's settings in this shell must not bring in.
NOT_INHERITED = {f"FACTORY_{name}" for name in ("ENV_FILE", "S3_ACCESS_KEY", "S3_SECRET_KEY", "URL", "API_KEY", "WORKER_NAME")}


class RunningStack:
    """`say` hears what goes on. Raises Failed when a stack runs in this folder already, or something does not start."""

    def __init__(self, home: Home, *, say: Callable[[str], None], port: int = 0) -> None:
        self.home, self.say = home, say
        try:
            self.stack = Stack(home.folder, say=say)
        except FolderInUse:
            raise Failed(_runs_already(home)) from None
        self.ports = self._choose_ports(port)
        self.key = ""
        self.engine = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports['api']}"

    @property
    def flower_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['flower']}"

    def start(self) -> Self:
        """Servers, schema, key, checkpoint and roles; returns when the API answers."""
        try:
            self.stack.start_servers()
            self._prepare_database()
        except (ServerFailed, FileNotFoundError) as failure:
            raise Failed(str(failure)) from failure
        env = self._environment()
        self.home.write_env({name: value for name, value in env.items() if name.startswith("FACTORY_")})
        for role in ROLES[:-1]:
            self.stack.start_role(self._with_port(role), env=env, cwd=ROOT)
        self.engine = lay_demo_checkpoint(private_folder(self.home.checkpoints))
        self._register(self.engine)
        self.stack.start_role(ROLES[-1], env={"OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 2) // 2)), **env}, cwd=ROOT)
        self._await_api()
        self.home.write_client(self.url, self.key)
        write_private(self.home.facts_file, json.dumps(self.facts(), indent=1))
        return self

    def facts(self) -> dict[str, Any]:
        """What a person or a program needs to use this stack."""
        return {
            "pid": os.getpid(),
            "url": self.url,
            "key_file": str(self.home.key_file),
            "client_file": str(self.home.client_file),
            "flower_url": self.flower_url,
            "flower_user": FLOWER_USER,
            "flower_password": secret(self.home.folder, "flower"),
            "pictures": str(self.home.pictures),
            "logs": str(self.stack.logs),
            "engine": self.engine,
            "started_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }

    def stop(self) -> None:
        for gone in (self.home.facts_file, self.home.client_file):
            gone.unlink(missing_ok=True)
        self.stack.stop()
        self.home.env_file.unlink(missing_ok=True)

    def _choose_ports(self, port: int) -> dict[str, int]:
        """Those of the last start where they are still free, so that addresses stay."""
        former = read_json(self.home.ports_file)
        ports = {name: former[name] if is_free(int(former.get(name, 0))) else free_port() for name in ("api", "flower")}
        if port:
            if not is_free(port):
                raise Failed(f"port {port} is taken: choose another with --port, or leave it out for a free one")
            ports["api"] = port
        write_private(self.home.ports_file, json.dumps(ports))
        return ports

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if name not in NOT_INHERITED}
        return inherited | {
            "FACTORY_DATABASE_URL": self.stack.postgres.app_url,
            "FACTORY_MIGRATION_DATABASE_URL": self.stack.postgres.url,
            "FACTORY_REDIS_URL": self.stack.valkey.url,
            "FACTORY_STORAGE_URL": self.home.pictures.as_uri(),
            "FACTORY_PUBLIC_URL": self.url,
            "FACTORY_LINK_SECRET": secret(self.home.folder, "link"),
            "FACTORY_DATA_DIR": str(self.home.folder / "node"),
            "FACTORY_CHECKPOINTS_DIR": str(self.home.checkpoints),
            "FACTORY_WEBHOOK_NETWORKS": "127.0.0.0/8",
            "FACTORY_LORAS_DIR": str(self.home.folder / "loras"),
            "FACTORY_FLOWER_USER": FLOWER_USER,
            "FACTORY_FLOWER_PASSWORD": secret(self.home.folder, "flower"),
            "FACTORY_FLOWER_PORT": str(self.ports["flower"]),
        }

    def _with_port(self, role: Role) -> Role:
        return Role(role.name, (*role.command, "--port", str(self.ports["api"])), role.grace) if role.name == "api" else role

    def _prepare_database(self) -> None:
        """Schema to its newest version, and a key for the demo tenant; both were done already after a restart."""
        from factory.db import Database
        from factory.domain.api_key import Scope
        from factory.domain.audit_event import Actor
        from factory.errors import Unauthorized
        from factory.jobs.keys import create_key, recognise
        from factory.jobs.migrate import migrate

        migrate(self.stack.postgres.url)
        db = Database(self.stack.postgres.app_url, pool_size=1)
        try:
            self.key = self.home.key_file.read_text().strip() if self.home.key_file.exists() else ""
            recognise(db, self.key)
        except Unauthorized:
            actor = Actor("operator", operator())
            _, self.key = create_key(db, tenant=TENANT, name="embedded stack", scopes=list(Scope), actor=actor)
            write_private(self.home.key_file, self.key + "\n")
        finally:
            db.close()

    def _register(self, engine: str) -> None:
        from factory.cli.checkpoint_files import register_folder, warning
        from factory.cli.demo_loras import register_demo_loras
        from factory.db import Database

        db = Database(self.stack.postgres.app_url, pool_size=1)
        try:
            folder = self.home.checkpoints / "demo"
            added = register_folder(db, folder, engine=engine, native_side=256, operator=operator(), if_changed=True, force=True)
            if added.stranded:
                self.say(f"WARNING: {warning(added.name, added.stranded)}. Order them again, or put the old files back")
            register_demo_loras(db, private_folder(self.home.folder / "loras"), operator=operator())
        finally:
            db.close()

    def _await_api(self) -> None:
        until = time.monotonic() + API_SECONDS
        while time.monotonic() < until and self.stack.alive("api"):
            try:
                with urllib.request.urlopen(f"{self.url}/healthz", timeout=2):  # noqa: S310
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        log = self.stack.log_of("api")
        raise Failed(f"the API did not start; {log} ends with:\n{_tail(log)}")


def _role(name: str, *words: str, grace: float, wave: int) -> Role:
    return Role(name, (sys.executable, "-m", "factory", *words), grace, wave)


ROLES = (
    _role("api", "api", grace=10, wave=0),
    _role("beat", "beat", grace=5, wave=0),
    _role("flower", "flower", grace=5, wave=1),
    _role("worker-cpu", "worker", "cpu", grace=15, wave=1),
    _role("worker-gpu", "worker", "gpu", grace=30, wave=1),
)


def _runs_already(home: Home) -> str:
    facts = home.facts()
    where = f" (process {facts['pid']}, API {facts['url']})" if facts else ""
    stop = f"stop it with Ctrl-C there or `kill {facts['pid']}`" if facts else "wait until it has started or stopped"
    return f"a factory runs in {home.folder} already{where}: use it, {stop}, or set FACTORY_HOME to another folder"


def _tail(log: Path, lines: int = 12) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:]) if log.exists() else "(empty)"
