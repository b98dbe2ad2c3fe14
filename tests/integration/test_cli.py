"""Operators' commands and the audit export, on a real Postgres, a real Valkey and the real API."""

import csv
import hashlib
import json
import os
import re
import shlex
import subprocess
import sys
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import launcher
import psycopg
import pytest
from typer.testing import CliRunner

from factory.cli import app
from factory.cli.client import Client
from factory.embedded.guarded import Guarded
from factory.embedded.ports import free_port
from factory.workers.engines.simulated import write_checkpoint

ROOT = Path(__file__).resolve().parents[2]
DATABASE = "cli"


def at(url):
    return url.rsplit("/", 1)[0] + f"/{DATABASE}"


@pytest.fixture(scope="module")
def env(postgres, valkey, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli")
    with psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {DATABASE}")
    port = free_port()
    return {
        "FACTORY_HOME": str(folder / "home"),
        "FACTORY_DATABASE_URL": at(postgres.app_url),
        "FACTORY_MIGRATION_DATABASE_URL": at(postgres.url),
        "FACTORY_REDIS_URL": valkey.url,
        "FACTORY_STORAGE_URL": (folder / "pictures").as_uri(),
        "FACTORY_LINK_SECRET": "a secret of thirty-two characters",
        "FACTORY_DATA_DIR": str(folder / "node"),
        "FACTORY_CHECKPOINTS_DIR": str(folder / "checkpoints"),
        "FACTORY_PUBLIC_URL": f"http://127.0.0.1:{port}",
        "FACTORY_FLOWER_PORT": str(free_port()),
    }


@pytest.fixture(scope="module")
def migrated(env):
    answer = run(env, "migrate", "--json")
    assert json.loads(answer.stdout)["revision"]
    return env


@pytest.fixture(scope="module")
def api(migrated, tmp_path_factory):
    """The API as `factory api` starts it, and a key that may read the log."""
    secret = json.loads(run(migrated, "keys", "create", "--tenant", "acme", "--name", "api", "--json").stdout)["secret"]
    url = migrated["FACTORY_PUBLIC_URL"]
    command = [sys.executable, "-m", "factory", "api", "--port", url.rsplit(":", 1)[1]]
    log = tmp_path_factory.mktemp("api") / "api.log"
    child = Guarded(command, log=log, env={**os.environ, **migrated}, cwd=ROOT)
    until = time.monotonic() + 60
    while time.monotonic() < until and child.alive():
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=2).close()
            break
        except OSError:
            time.sleep(0.1)
    else:
        pytest.fail(log.read_text())
    yield {**migrated, "FACTORY_URL": url, "FACTORY_API_KEY": secret}
    child.stop()


def run(env, *words, code=0, stdin=None):
    answer = CliRunner().invoke(app, list(words), env=env, input=stdin)
    assert answer.exit_code == code, answer.output + repr(answer.exception)
    return answer


def rows(env, *words):
    return json.loads(run(env, *words, "--json").stdout)


def test_without_tables_the_remedy_is_said(postgres, env):
    with psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True) as server:
        server.execute("CREATE DATABASE cli_empty")
    answer = run({**env, "FACTORY_DATABASE_URL": at(postgres.app_url).replace("/cli", "/cli_empty")}, "keys", "list", code=2)
    assert "factory migrate" in answer.stderr


def test_a_key_is_shown_once_stored_hashed_and_revoked(postgres, migrated):
    made = rows(migrated, "keys", "create", "--tenant", "shop-1", "--name", "line 1", "--scope", "jobs:read", "--days", "3")
    assert made["secret"].startswith(made["prefix"])
    assert made["scopes"] == ["jobs:read"]
    with psycopg.connect(at(postgres.url).replace("+psycopg", "")) as books:
        stored = books.execute("SELECT row_to_json(api_keys)::text FROM api_keys WHERE prefix = %s", (made["prefix"],)).fetchone()
        logged = books.execute("SELECT string_agg(detail::text, ' ') FROM audit_events WHERE tenant = 'shop-1'").fetchone()
    assert stored
    assert logged
    assert made["secret"] not in stored[0] + logged[0]
    assert hashlib.sha256(made["secret"].encode()).hexdigest() in stored[0]
    listed = rows(migrated, "keys", "list", "--tenant", "shop-1")
    assert [(key["prefix"], key["revoked_at"]) for key in listed] == [(made["prefix"], None)]
    assert "secret" not in listed[0]
    assert rows(migrated, "keys", "revoke", made["prefix"]) == {"revoked": 1}
    assert rows(migrated, "keys", "list", "--tenant", "shop-1")[0]["revoked_at"]
    assert "no live key" in run(migrated, "keys", "revoke", made["prefix"], code=1).stderr


def test_without_json_the_secret_is_all_that_stdout_holds(migrated):
    answer = run(migrated, "keys", "create", "--tenant", "shop-2")
    assert answer.stdout.strip().startswith("fk_")
    assert "\n" not in answer.stdout.strip()
    assert "shown once" in answer.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--tenant", "Shop 1"), "small letters"), (("--tenant", "shop", "--scope", "everything"), "jobs:write")],
)
def test_a_key_for_nobody_or_for_nothing_known_is_refused(migrated, words, said):
    assert said in run(migrated, "keys", "create", *words, code=2).stderr


def test_a_checkpoint_is_hashed_and_a_pickle_refused(migrated, tmp_path):
    folder = write_checkpoint(tmp_path / "cards")
    added = rows(migrated, "checkpoints", "add", str(folder), "--engine", "simulated", "--native-side", "256")
    line = f"card.json\0{hashlib.sha256((folder / 'card.json').read_bytes()).hexdigest()}\n"
    assert added["sha256"] == hashlib.sha256(line.encode()).hexdigest()
    listed = {row["name"]: row for row in rows(migrated, "checkpoints", "list")}
    assert listed["cards"]["native_side"] == 256
    (folder / "unet.ckpt").write_bytes(b"\x80\x04")
    assert "unet.ckpt" in run(migrated, "checkpoints", "add", str(folder), "--engine", "simulated", code=1).stderr
    assert "missing" in run(migrated, "checkpoints", "add", str(tmp_path / "nothing"), code=1).stderr
    assert "simulated, zimage" in run(migrated, "checkpoints", "add", str(folder), "--engine", "dalle", code=2).stderr
    assert "multiple of 16" in run(migrated, "checkpoints", "add", str(folder), "--native-side", "100", code=2).stderr


def test_the_doctor_finds_a_healthy_factory_healthy(migrated):
    write_checkpoint(Path(migrated["FACTORY_CHECKPOINTS_DIR"]) / "demo")
    run(migrated, "checkpoints", "add", str(Path(migrated["FACTORY_CHECKPOINTS_DIR"]) / "demo"), "--engine", "simulated")
    seen = rows(migrated, "doctor")
    assert len(seen["checks"]) >= 15
    assert [check for check in seen["checks"] if check["status"] not in {"ok", "skipped"}] == []
    assert seen["ok"] is True
    assert not list(Path(migrated["FACTORY_STORAGE_URL"].removeprefix("file://")).rglob("*.png"))


@pytest.mark.parametrize(
    ("changes", "failing"),
    [
        (
            {"FACTORY_REDIS_URL": "redis://:wrong-password@127.0.0.1:1/0"},
            {"redis", "redis password", "redis eviction", "redis persistence"},
        ),
        ({"FACTORY_LINK_SECRET": "short"}, {"secrets", "link secret"}),
        (
            {"FACTORY_DATABASE_URL": "postgresql+psycopg://a:a-long-password@127.0.0.1:1/x"},
            {"database", "schema", "audit log", "clock", "checkpoints"},
        ),
        ({"FACTORY_STORAGE_URL": "file:///proc/no-such-place"}, {"storage"}),
        ({"FACTORY_POLICY_FILE": "/no/such/rules.yaml"}, {"prompt rules"}),
        ({"FACTORY_LABELS_FILE": "/no/such/labels.yaml"}, {"labels"}),
    ],
)
def test_the_doctor_names_what_is_wrong_and_the_remedy(migrated, changes, failing):
    seen = json.loads(run({**migrated, **changes}, "doctor", "--json", code=1).stdout)
    assert {check["name"] for check in seen["checks"] if check["status"] == "failed"} == failing
    assert all(check["remedy"] for check in seen["checks"] if check["status"] == "failed")


def test_the_doctor_finds_the_owner_at_work_old_schema_eviction_and_changed_weights(postgres, valkey, migrated):
    import redis

    owner = {**migrated, "FACTORY_DATABASE_URL": migrated["FACTORY_MIGRATION_DATABASE_URL"]}
    server = redis.Redis.from_url(valkey.url)
    card = Path(migrated["FACTORY_CHECKPOINTS_DIR"]) / "demo" / "card.json"
    kept = card.read_text()
    server.config_set("maxmemory-policy", "allkeys-lru")
    card.write_text(kept + " ")
    try:
        seen = json.loads(run(owner, "doctor", "--json", code=1).stdout)
    finally:
        server.config_set("maxmemory-policy", "noeviction")
        card.write_text(kept)
    assert {check["name"] for check in seen["checks"] if check["status"] == "failed"} == {"audit log", "redis eviction", "checkpoints"}


def test_the_doctor_without_settings_still_answers(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("FACTORY_")]:
        monkeypatch.delenv(name)
    seen = json.loads(run({"FACTORY_HOME": str(tmp_path)}, "doctor", "--json", code=1).stdout)
    assert seen["checks"][0]["status"] == "failed"
    assert "FACTORY_DATABASE_URL" in seen["checks"][0]["detail"]


def test_orders_and_their_log_over_http(api, tmp_path):
    run(api, "checkpoints", "add", str(write_checkpoint(tmp_path / "default")), "--engine", "simulated", "--native-side", "256")
    table = "sku,prompt\nA-1,a red mug\nA-2,红色马克杯\nA-3,\n"
    batch = json.loads(run(api, "submit", "-", "--project", "spring", "--json", stdin=table, code=1).stdout)
    assert (batch["rows_accepted"], batch["rows_refused"]) == (2, 1)
    queued = rows(api, "jobs", "list", "--batch", batch["id"], "--status", "queued")
    assert [job["sku"] for job in queued] == ["A-2", "A-1"]
    assert rows(api, "jobs", "list", "--q", "马克杯")[0]["sku"] == "A-2"
    assert rows(api, "jobs", "cancel", queued[0]["id"])["status"] == "canceled"
    assert rows(api, "jobs", "show", queued[0]["id"])["status"] == "canceled"
    assert [event["action"] for event in rows(api, "audit", "events", "--job", queued[0]["id"])] == ["job.canceled", "job.submitted"]
    assert rows(api, "audit", "records") == []
    assert "multiple of 16" in run(api, "submit", "--prompt", "a cup", "--size", "100x100", code=1).stderr
    assert "ops" in run(api, "jobs", "dead-letters", code=1).stderr


def test_own_ids_are_understood_and_nothing_done_is_said(api):
    batch = json.loads(run(api, "submit", "-", "--external-id", "mine-1", "--json", stdin="external_id,prompt\nrow-1,a red cup\n").stdout)
    job = rows(api, "jobs", "list", "--batch", "mine-1")[0]
    assert job["batch_id"] == batch["id"]
    assert {event["action"] for event in rows(api, "audit", "events", "--batch", "mine-1")} == {"job.submitted", "batch.submitted"}
    assert {event["job_id"] for event in rows(api, "audit", "events", "--job", "row-1")} == {job["id"]}
    assert "no-such" in run(api, "jobs", "list", "--batch", "no-such", code=1).stderr
    assert run(api, "jobs", "cancel", "row-1").stdout == "row-1: canceled\n"
    assert run(api, "jobs", "cancel", "row-1").stdout == "row-1 had already ended (canceled); nothing was canceled\n"
    operator = json.loads(run(api, "keys", "create", "--tenant", "acme", "--scope", "ops", "--scope", "jobs:read", "--json").stdout)
    ops = {**api, "FACTORY_API_KEY": operator["secret"]}
    for name in ("row-1", job["id"]):
        assert f"{name} is no dead letter; nothing was replayed" in run(ops, "jobs", "replay", name, code=1).stderr
    assert "0 dead letters" in run(ops, "jobs", "replay", "--all").stdout
    hint = run(api, "watch", "mine-1", code=1).stderr
    assert f"1 canceled, see `factory jobs list --batch {batch['id']} --status canceled`" in " ".join(hint.split())


def test_refused_rows_are_a_failure_and_counted_in_words(api):
    answer = run(api, "submit", "-", stdin="sku,prompt\nR-1,a red cup\nR-2,\n", code=1)
    assert "1 row ordered, 1 refused" in answer.stderr
    assert "1 row was refused, what else there is was ordered" in answer.stderr
    assert rows(api, "jobs", "list", "--sku", "R-1")[0]["batch_id"] in answer.stdout


def test_times_say_their_zone_and_refusals_point_to_events(api):
    job = rows(api, "jobs", "list", "--limit", "1")[0]
    shown = datetime.fromisoformat(job["created_at"]).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    for words in (("jobs", "list"), ("jobs", "show", job["id"]), ("audit", "events", "--job", job["id"])):
        assert shown in run(api, *words).stdout
    assert re.search(r"\d\d:\d\d:\d\dZ", run(api, "keys", "list").stdout)
    nothing = run(api, "audit", "records", "--decision", "blocked", "--sku", "no-such").stdout
    assert "factory audit events --action prompt.rejected" in nothing


def test_replacing_files_that_jobs_wait_for_is_refused_unless_forced(api, tmp_path):
    folder = write_checkpoint(tmp_path / "portrait")
    register = ("checkpoints", "add", str(folder), "--engine", "simulated", "--native-side", "256")
    before = rows(api, *register)
    job = json.loads(run(api, "submit", "--prompt", "a cup", "--model", "portrait", "--json").stdout)
    (folder / "card.json").write_text((folder / "card.json").read_text() + " ")
    refused = run(api, *register, code=1).stderr
    assert "1 open job was ordered with other files of this name" in refused
    assert "--force" in refused
    assert {row["name"]: row["sha256"] for row in rows(api, "checkpoints", "list")}["portrait"] == before["sha256"]
    forced = run(api, *register, "--force", "--json")
    assert json.loads(forced.stdout)["stranded"] == 1
    assert "will fail on workers that have only the new ones" in forced.stderr
    run(api, "jobs", "cancel", job["id"])
    write_checkpoint(folder)
    assert rows(api, *register)["stranded"] == 0


def test_the_command_line_that_readme_shows_runs(api, tmp_path):
    shown = re.search(r"`\.venv/bin/factory (submit [^`]+)`", (ROOT / "README.md").read_text())
    assert shown
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    (tmp_path / "bin" / "python").chmod(0o755)
    command = [str(launcher.write(tmp_path, ROOT)), *shlex.split(shown.group(1)), "--project", "readme"]
    waiting = subprocess.Popen(command, env={**os.environ, **api}, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + 60
    while not (found := rows(api, "jobs", "list", "--project", "readme", "--limit", "0")):
        assert waiting.poll() is None, waiting.communicate()
        assert time.monotonic() < until
    with Client(api["FACTORY_URL"], api["FACTORY_API_KEY"]) as client:
        client.post(f"/batches/{found[0]['batch_id']}/cancel")  # nobody draws here
    said, complaint = waiting.communicate(timeout=60)
    assert waiting.returncode == 1
    assert found[0]["batch_id"] in said
    assert f"{len(found)} canceled, see `factory jobs list --batch {found[0]['batch_id']} --status canceled`" in complaint


def test_the_log_is_exported_as_lines_and_as_a_table(api, tmp_path):
    lines = run(api, "audit", "export", "--kind", "events").stdout.splitlines()
    assert "key.created" in {json.loads(line)["action"] for line in lines}
    written = rows(api, "audit", "export", "--kind", "events", "--format", "csv", "-o", str(tmp_path / "log.csv"))
    table = list(csv.DictReader((tmp_path / "log.csv").open(encoding="utf-8-sig")))
    assert len(table) == len(lines)
    assert written["bytes"] == (tmp_path / "log.csv").stat().st_size
    assert all(row["tenant"] == "acme" for row in table)


def test_a_revoked_key_is_told_so(api):
    other = json.loads(run(api, "keys", "create", "--tenant", "acme", "--json").stdout)
    run(api, "keys", "revoke", other["prefix"])
    answer = run({**api, "FACTORY_API_KEY": other["secret"]}, "jobs", "list", code=1)
    assert "factory keys create" in answer.stderr
