"""Each embedded server: starts, keeps its data, comes back after a crash, stands beside another, and dies with whoever started it."""

import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import psycopg
import pytest
import redis

from factory.embedded.folder import FolderInUse
from factory.embedded.ports import free_port
from factory.embedded.postgres import Postgres
from factory.embedded.s3_servers import Moto, Rclone
from factory.embedded.server import ServerFailed
from factory.embedded.valkey import Valkey, valkey_binary

ROOT = Path(__file__).resolve().parents[2]
SERVERS = [Valkey, Postgres, Moto, Rclone]
DURABLE = [Valkey, Postgres]
OWNER_PROGRAM = """
import sys, time
from pathlib import Path
from factory.embedded import postgres, s3_servers, valkey
kinds = {kind.__name__: kind for kind in (valkey.Valkey, postgres.Postgres, s3_servers.Moto, s3_servers.Rclone)}
server = kinds[sys.argv[1]](Path(sys.argv[2])).start()
print(server.pid, server.url, flush=True)
time.sleep(120)
"""


def write(server, value):
    if isinstance(server, Valkey):
        redis.Redis.from_url(server.url).set("key", value)
        return
    with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (value text)")
        connection.execute("INSERT INTO kept VALUES (%s)", (value,))


def read(server):
    if isinstance(server, Valkey):
        return redis.Redis.from_url(server.url, decode_responses=True).get("key")
    with psycopg.connect(server.url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT value FROM kept").fetchone()
        return row and row[0]


def lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def gone_within(pids, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(lives(pid) for pid in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("kind", DURABLE)
def test_data_and_address_outlive_a_restart_and_a_crash(kind, tmp_path):
    with kind(tmp_path / "server") as server:
        url = server.url
        write(server, "一二三")
        server.restart()
        assert read(server) == "一二三"
        if kind is Valkey:
            time.sleep(1.1)  # everysec
        server.kill()
        assert server.pid == 0
        server.start()
        assert read(server) == "一二三"
        assert server.url == url
    with kind(tmp_path / "server") as later:
        assert read(later) == "一二三"


@pytest.mark.parametrize("version", [16, 18])
def test_the_application_role_can_log_in_and_owns_nothing(version, tmp_path):
    with Postgres(tmp_path, version=version) as server, psycopg.connect(server.app_url.replace("+psycopg", "")) as connection:
        row = connection.execute("SELECT current_user, rolsuper, rolcreaterole FROM pg_roles WHERE rolname = current_user").fetchone()
        assert row == ("factory_app", False, False)
        assert connection.info.server_version // 10_000 == version
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE mine ()")


@pytest.mark.parametrize("version", [16, 18])
def test_text_is_utf8_and_sorts_by_code_point(version, tmp_path):
    with Postgres(tmp_path, version=version) as server, psycopg.connect(server.url.replace("+psycopg", "")) as connection:
        rows = connection.execute("SELECT lower(x) FROM (VALUES ('É'), ('b'), ('中'), ('B')) AS t(x) ORDER BY x").fetchall()
        assert [row[0] for row in rows] == ["b", "b", "é", "中"]


def test_a_wrong_password_is_refused(tmp_path):
    with Valkey(tmp_path / "valkey") as valkey, Postgres(tmp_path / "postgres") as postgres:
        with pytest.raises(redis.AuthenticationError):
            redis.Redis.from_url(valkey.url.replace(valkey.password, "wrong")).ping()
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(postgres.url.replace("+psycopg", "").replace(postgres.password, "wrong"))


def test_valkey_keeps_what_it_has_when_memory_is_short(tmp_path):
    with Valkey(tmp_path) as server:
        client = redis.Redis.from_url(server.url, decode_responses=True)
        settings = {name: client.config_get(name)[name] for name in ("maxmemory-policy", "appendonly", "appendfsync")}
        assert settings == {"maxmemory-policy": "noeviction", "appendonly": "yes", "appendfsync": "everysec"}


@pytest.mark.parametrize("kind", SERVERS)
def test_two_stand_side_by_side(kind, tmp_path):
    with kind(tmp_path / "one") as one, kind(tmp_path / "two") as two:
        assert one.port != two.port
        assert one.is_ready()
        assert two.is_ready()


@pytest.mark.parametrize("kind", SERVERS)
def test_one_folder_has_one_server(kind, tmp_path):
    with kind(tmp_path):
        second = kind(tmp_path)
        second.start_seconds = 0.2
        with pytest.raises(FolderInUse, match="still runs"):
            second.start()


@pytest.mark.parametrize("kind", SERVERS)
def test_the_server_dies_with_whoever_started_it(kind, tmp_path):
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER_PROGRAM, kind.__name__, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert owner.stdout
    pid = int(owner.stdout.readline().split()[0])
    family = [pid, *(child.pid for child in psutil.Process(owner.pid).children(recursive=True))]
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    owner.stdout.close()
    assert gone_within(family, 60)


def test_a_frozen_valkey_answers_nothing_and_comes_back_whole(tmp_path):
    with Valkey(tmp_path) as server:
        write(server, "before")
        server.freeze()
        with pytest.raises(redis.TimeoutError):
            redis.Redis.from_url(server.url, socket_timeout=0.3, retry=None).ping()
        server.thaw()
        assert read(server) == "before"


def test_a_server_that_cannot_start_says_why(tmp_path):
    with pytest.raises(ServerFailed, match="no_such_setting"):
        Postgres(tmp_path, settings={"no_such_setting": "1"}).start()


def test_a_port_taken_in_the_last_moment_costs_one_more_try(tmp_path, monkeypatch):
    with Valkey(tmp_path / "one") as one:
        with pytest.raises(ServerFailed, match=str(one.port)):
            Valkey(tmp_path / "two", port=one.port).start()
        offers = iter([one.port, free_port()])
        monkeypatch.setattr("factory.embedded.server.free_port", lambda: next(offers))
        with Valkey(tmp_path / "three") as three:
            assert three.port != one.port


def test_a_redis_server_named_in_the_environment_is_used_or_refused_by_name(tmp_path, monkeypatch):
    real = valkey_binary()
    monkeypatch.setenv("FACTORY_REDIS_SERVER", real)
    assert valkey_binary() == real
    monkeypatch.setenv("FACTORY_REDIS_SERVER", str(tmp_path / "missing"))
    with pytest.raises(FileNotFoundError, match="FACTORY_REDIS_SERVER"):
        valkey_binary()


def test_rclone_refuses_strangers_and_keeps_its_objects(tmp_path):
    with Rclone(tmp_path) as server:
        server.make_bucket("pictures")
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{server.url}/pictures", timeout=5)
        server.kill()
        assert server.start().is_ready()
        assert (server.objects / "pictures").is_dir()


def test_moto_takes_a_bucket(tmp_path):
    with Moto(tmp_path) as server:
        server.make_bucket("pictures")
        with urllib.request.urlopen(f"{server.url}/pictures", timeout=5) as answer:
            assert answer.status == 200


@pytest.mark.skipif(os.geteuid() != 0, reason="run as a plain user, every other test here is this test")
@pytest.mark.parametrize("kind", [Valkey, Postgres])
def test_a_plain_user_can_run_it_too(kind, tmp_path):
    setpriv = shutil.which("setpriv")
    assert setpriv, "setpriv (util-linux) is needed to become another user"
    home = Path("/tmp") / f"factory-nobody-{os.getpid()}-{kind.__name__}"
    home.mkdir()
    shutil.chown(home, "nobody")
    try:
        command = [setpriv, "--reuid=nobody", "--clear-groups", sys.executable, "-c", OWNER_PROGRAM, kind.__name__, str(home / "server")]
        owner = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT, env={**os.environ, "HOME": str(home)}
        )
        assert owner.stdout
        assert owner.stderr
        line = owner.stdout.readline()
        if not line and "Permission denied" in (why := owner.communicate()[1]):
            pytest.skip(f"another user cannot read this interpreter or checkout: {why.strip().splitlines()[-1]}")
        assert line, owner.communicate()[1]
        pid = int(line.split()[0])
        assert psutil.Process(pid).username() == "nobody"
        owner.kill()
        owner.communicate()
        assert gone_within([pid], 60)
    finally:
        shutil.rmtree(home)
