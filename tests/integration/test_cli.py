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
import zipfile
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
CATALOGUE = str(ROOT / "demo" / "catalogue.yaml")
KETTLE = """
name: kettle
title: {zh: 水壶, en: Kettle}
prompt: "{colour} kettle, {where}"
seed: 7
variables:
  colour: {title: {zh: 颜色, en: Colour}, type: choice, allowed: [red, blue], example: red}
  where: {default: on white, example: in a garden}
"""


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
    until = time.monotonic() + 150
    while time.monotonic() < until and child.alive():
        try:
            urllib.request.urlopen(f"{url}/healthz", timeout=10).close()
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


@pytest.fixture
def torch_answers(monkeypatch):
    """The healthy doctor loads it, which takes seconds; the others need not."""
    monkeypatch.setattr("factory.cli.checkup.machine.ASK_TORCH", """print('{"version": "none", "cuda": false}')""")


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


@pytest.mark.usefixtures("torch_answers")
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


@pytest.mark.usefixtures("torch_answers")
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


@pytest.mark.usefixtures("torch_answers")
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


def test_a_file_is_safe_first_and_read_afterwards(api, tmp_path):
    said = run(api, "submit", "-", "--respond-async", "--external-id", "later-1", stdin="sku,prompt\nL-1,a red cup\n")
    assert "the file is safe" in said.stderr
    assert rows(api, "batches", "show", "later-1")["status"] == "reading"
    env = {**os.environ, **api, "FACTORY_WORKER_NAME": "reader"}
    reader = Guarded([sys.executable, "-m", "factory", "worker", "cpu"], log=tmp_path / "cpu.log", env=env, cwd=ROOT)
    try:
        bad = "sku,prompt\nL-2,\n"
        waited = run(api, "submit", "-", "--respond-async", "--wait", "--external-id", "later-2", stdin=bad, code=1)
    finally:
        reader.stop()
    assert re.search(r"1 .*prompt", waited.stderr)
    assert "no row can be accepted [no_valid_rows]" in " ".join(waited.stderr.split())
    assert "no_valid_rows" in run(api, "batches", "show", "later-2").stdout
    assert rows(api, "batches", "show", "later-1")["total"] == 1
    # Repaired, it is ordered under the same name.
    again = run(api, "submit", "-", "--external-id", "later-2", stdin="sku,prompt\nL-2,a blue cup\n")
    assert "1 row ordered" in again.stderr


def test_refused_rows_are_a_failure_and_counted_in_words(api):
    answer = run(api, "submit", "-", stdin="sku,prompt\nR-1,a red cup\nR-2,\n", code=1)
    assert "1 row ordered, 1 refused" in answer.stderr
    assert "1 row was refused, what else there is was ordered" in answer.stderr
    assert answer.stdout == rows(api, "jobs", "list", "--sku", "R-1")[0]["batch_id"] + "\n"
    assert re.search(r"2 +B3 +prompt ", answer.stderr)


def test_a_file_without_one_good_row_shows_its_rows_and_warnings(api):
    for words in (("submit", "-"), ("quote", "-")):
        answer = run(api, *words, "--map", "画面=prompt", stdin="sku,prompt,备注\nR-1,,x\n", code=1)
        assert answer.stdout == ""
        assert "warning: the mapping names columns that are not in the file: 画面" in answer.stderr
        assert "warning: not used: 备注" in answer.stderr
        assert re.search(r"1 +B2 +prompt ", answer.stderr)
        assert answer.stderr.endswith("no row can be accepted [no_valid_rows]\n")


def test_an_order_sent_again_says_so(api):
    order = ("submit", "-", "--external-id", "said-twice")
    first = run(api, *order, stdin="prompt\na green cup\n")
    assert first.stderr == "1 row ordered, 0 refused\n"
    again = run(api, *order, stdin="prompt\na green cup\n")
    assert (again.stdout, again.stderr) == (first.stdout, f"already ordered as {first.stdout.strip()}; nothing was ordered anew\n")
    one = ("submit", "--prompt", "a green cup", "--external-id", "one-said-twice")
    assert "already" not in run(api, *one).stderr
    assert "already ordered as " in run(api, *one).stderr


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
    until = time.monotonic() + 120
    while not (found := rows(api, "jobs", "list", "--project", "readme", "--limit", "0")):
        assert waiting.poll() is None, waiting.communicate()
        assert time.monotonic() < until
        time.sleep(0.2)
    with Client(api["FACTORY_URL"], api["FACTORY_API_KEY"]) as client:
        client.post(f"/batches/{found[0]['batch_id']}/cancel")  # nobody draws here
    said, complaint = waiting.communicate(timeout=120)
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


@pytest.fixture(scope="module")
def shop(api, tmp_path_factory):
    """The API, and a checkpoint to order from. Nobody draws here."""
    folder = write_checkpoint(tmp_path_factory.mktemp("weights") / "default")
    run(api, "checkpoints", "add", str(folder), "--engine", "simulated", "--native-side", "256")
    return api


def as_tenant(env, name):
    return {**env, "FACTORY_API_KEY": rows(env, "keys", "create", "--tenant", name)["secret"]}


def test_a_catalogue_is_planned_quoted_and_ordered_once(shop):
    before = rows(shop, "plan", CATALOGUE)
    quote = before["quote"]
    assert (before["to_render"], quote["images"], quote["to_draw"], quote["duplicates"], quote["rows_blocked"]) == (12, 12, 12, 0, 0)
    assert (quote["workers"], quote["finish"]) == (0, None)
    said = run(shop, "plan", CATALOGUE).stdout
    assert "demo-shop: 12 pictures" in said
    assert len(re.findall(r"DEMO-\w+\|(?:main|detail)\|256x256\|\|1 +missing", said)) == 12
    assert re.search(r"to draw +12\b", said)
    assert f"{quote['cost']} CNY" in said
    assert said.endswith(f"12 pictures to order: `factory apply {CATALOGUE}` orders them\n")

    applied = rows(shop, "apply", CATALOGUE)
    assert (applied["ordered"], applied["batch"]["counts"]["queued"]) == (12, 12)
    after = rows(shop, "plan", CATALOGUE)
    assert (after["to_render"], after["counts"]["in_work"], after["quote"]) == (0, 12, None)
    assert run(shop, "plan", CATALOGUE).stdout.endswith("\nnothing to draw\n")
    assert run(shop, "apply", CATALOGUE).stdout.endswith("\nnothing was ordered\n")


def test_what_the_queue_had_no_room_for_is_said_and_ordered_by_the_next_apply(shop):
    narrow = as_tenant(shop, "narrow")
    run(shop, "queue", "allow", "narrow", "--max-queued", "5")
    answer = run(narrow, "apply", CATALOGUE, code=1)
    assert "5 pictures ordered" in answer.stdout
    assert "factory: 5 of 12 rows were taken; apply again to order the rest" in answer.stderr
    run(shop, "queue", "allow", "narrow", "--max-queued", "none")
    assert rows(narrow, "apply", CATALOGUE)["ordered"] == 7
    assert "nothing was ordered" in run(narrow, "apply", CATALOGUE).stdout


def test_blocked_cells_are_listed_first_and_make_apply_fail(shop, tmp_path):
    file = tmp_path / "thirty.yaml"
    good = "".join(f"  - {{sku: S{number}, prompt: cup {number}}}\n" for number in range(30))
    file.write_text(f"name: thirty\nrows:\n{good}  - {{prompt: nameless}}\n", encoding="utf-8")
    planned = run(shop, "plan", str(file))
    assert "sku is missing" in planned.stdout
    assert "… and 11 more; --json lists the first thousand\n" in planned.stderr
    failed = run(shop, "apply", str(file), code=1)
    assert "30 pictures ordered" in failed.stdout
    assert "factory: 1 picture of the catalogue cannot be ordered" in failed.stderr
    assert rows(shop, "plan", str(file))["counts"]["in_work"] == 30


def test_templates_are_saved_shown_and_exported(shop, tmp_path):
    file = tmp_path / "kettle.yaml"
    file.write_text(KETTLE, encoding="utf-8")
    assert run(shop, "templates", "save", str(file)).stdout == "kettle@1\n"
    shown = run(shop, "templates", "show", "kettle").stdout
    assert re.search(r"template +kettle@1\b", shown)
    assert re.search(r"colour +颜色 · Colour +choice +red, blue +– +red\b", shown)
    assert re.search(r"seed +always 7\b", shown)
    exported = run(shop, "templates", "export", "kettle@1").stdout
    assert "水壶" in exported
    file.write_text(exported.replace("on white", "on wood"), encoding="utf-8")
    assert run(shop, "templates", "save", str(file)).stdout == "kettle@2\n"
    assert "kettle@2" in run(shop, "templates", "list").stdout
    quoted = run(shop, "quote", "-", "--template", "kettle", stdin="sku,colour\nK-1,red\nK-2,green\n").stdout
    assert re.search(r"rows blocked +1\b", quoted)
    assert "vars/colour" in quoted


def test_a_quote_orders_nothing(shop):
    before = [batch["id"] for batch in rows(shop, "batches", "list")]
    said = run(shop, "quote", str(ROOT / "demo" / "catalogue.csv"), "--template", "white-bg").stdout
    assert re.search(r"images +6\b", said)
    assert re.search(r"cost +\d+\.\d+ CNY\b", said)
    assert re.search(r"likely finish +no worker is alive", said)
    twins = run(shop, "quote", "-", stdin="prompt,seed\na quoted cup,1\na quoted cup,1\n").stdout
    assert re.search(r"to draw +1\b", twins)
    assert re.search(r"duplicates +1\b", twins)
    assert [batch["id"] for batch in rows(shop, "batches", "list")] == before


def test_a_batch_is_paused_moved_let_go_and_ordered_anew(shop):
    run(shop, "submit", "-", "--external-id", "steered", stdin="sku,prompt\nT-1,a red pot\nT-2,蓝色的壶\n")
    job = rows(shop, "jobs", "list", "--batch", "steered")[0]["id"]
    assert run(shop, "batches", "pause", "steered").stdout == "2 rows put on hold; the batch is paused\n"
    assert re.search(r"^ *paused ", run(shop, "queue", "explain", job).stdout, re.MULTILINE)
    assert run(shop, "batches", "priority", "steered", "standard").stdout == "2 rows moved to standard; the batch is paused\n"
    assert run(shop, "batches", "resume", "steered").stdout == "2 rows let go; the batch is queued\n"
    assert run(shop, "batches", "cancel", "steered").stdout == "steered: 2 pictures canceled; the batch is canceled\n"
    nothing = run(shop, "batches", "retry", "steered")
    assert nothing.stdout == "0 rows ordered anew; the batch is canceled\n"
    assert nothing.stderr == "2 pictures canceled: `--status canceled` retries them\n"
    retried = run(shop, "batches", "retry", "steered", "--status", "canceled", "--change", "seed=7").stdout
    assert retried == "2 rows ordered anew; the batch is queued\n"
    shown = run(shop, "batches", "show", "steered").stdout
    assert re.search(r"queued +2\b", shown)
    assert "canceled" not in shown


def test_a_batch_gets_more_rows(shop, tmp_path):
    first = run(shop, "submit", "-", "--external-id", "growing", stdin="sku,prompt\nG-1,a red pan\n").stdout
    more = tmp_path / "more.csv"
    more.write_bytes("货号,品名,宽\nG-2,红色的锅,64\nG-3,蓝色的锅,65\n".encode("gbk"))
    answer = run(shop, "batches", "extend", "growing", str(more), "--map", "品名=prompt", code=1)
    assert answer.stdout == first
    assert "warning: the file is not UTF-8" in answer.stderr
    assert "1 row added, 1 refused; row 1 of the file is row 2 of the batch\n" in answer.stderr
    assert re.search(r"^ *3 +C3 +宽 +width 65", answer.stderr, re.MULTILINE)
    assert "1 row refused" in answer.stderr
    told = json.loads(run(shop, "batches", "extend", "growing", "-", "--json", stdin='{"prompt": "a pan"}\n{"prompt": "a lid"}\n').stdout)
    assert (told["first_row"], told["total"], told["receipt"]["rows_accepted"]) == (4, 4, 2)
    lines = csv.DictReader(run(shop, "batches", "manifest", "growing").stdout.splitlines())
    assert [(line["row"], line["status"]) for line in lines] == [
        ("1", "queued"),
        ("2", "queued"),
        ("3", "refused"),
        ("4", "queued"),
        ("5", "queued"),
    ]
    none = run(shop, "batches", "extend", "growing", "-", stdin="prompt,width\na pan,65\n", code=1).stderr
    assert "no row can be accepted; the first row sent would be row 6 of the order" in none
    run(shop, "batches", "cancel", "growing")
    late = run(shop, "batches", "extend", "growing", "-", stdin="prompt\na pan\n", code=1).stderr
    assert "batch growing has ended as canceled" in late
    assert "[batch_ended]" in late


def test_a_batch_is_collected_as_it_stands(shop, tmp_path):
    run(shop, "submit", "-", "--external-id", "collected", stdin="sku,prompt,seed\nC-1,a red jug,7\nC-2,白色的壶,8\n")
    lines = list(csv.DictReader(run(shop, "batches", "manifest", "collected").stdout.splitlines()))
    assert [(line["row"], line["sku"], line["status"], line["seed"]) for line in lines] == [
        ("1", "C-1", "queued", "7"),
        ("2", "C-2", "queued", "8"),
    ]
    out = tmp_path / "rows.jsonl"
    answer = run(shop, "batches", "manifest", "collected", "--out", str(out), "--format", "jsonl")
    assert answer.stderr == f"{out.stat().st_size} bytes in {out}\n"
    assert [json.loads(line)["sku"] for line in out.read_text(encoding="utf-8").splitlines()] == ["C-1", "C-2"]
    archive = tmp_path / "pictures.zip"
    assert "bytes in" in run(shop, "batches", "archive", "collected", str(archive)).stderr
    with zipfile.ZipFile(archive) as pictures:
        assert pictures.namelist() == ["manifest.csv"]


def test_the_queue_is_shown_shared_out_and_explained(shop):
    status = run(shop, "queue", "status").stdout
    assert re.search(r"interactive +open +\d", status)
    assert "no worker is alive" in status
    as_tenant(shop, "shared")
    assert re.search(r"shared +– +2\.0 +4 +–", run(shop, "queue", "allow", "shared", "--weight", "2", "--max-running", "4").stdout)
    assert re.search(r"shared +– +2\.0 +4 +–", run(shop, "queue", "allow", "shared").stdout)
    job = json.loads(run(shop, "submit", "--prompt", "a cup that waits", "--json").stdout)
    said = run(shop, "queue", "explain", job["id"]).stdout
    assert said.startswith("queued, lane interactive; position ")
    assert "no_worker" in said
    assert run(shop, "jobs", "explain", job["id"]).stdout.startswith("queued, lane interactive")


def test_a_webhook_is_made_and_listed_without_its_secret(shop):
    made = run(shop, "webhooks", "create", "https://hooks.example.com/in?token=very-secret", "--event", "job.*")
    assert made.stdout.startswith("whsec_")
    assert "standard  https://hooks.example.com/in?token=…  job.*\n" in made.stderr
    assert "shown once" in made.stderr
    listed = run(shop, "webhooks", "list").stdout
    assert re.search(r"standard +https://hooks\.example\.com/in\?token=… +job\.\* +enabled\b", listed)
    assert made.stdout.strip() not in listed
    assert "very-secret" not in listed
