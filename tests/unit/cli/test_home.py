"""Where the embedded stack keeps its things, and how other commands read them."""

import os
import shlex
import stat
import subprocess

import pytest
from typer.testing import CliRunner

from factory.cli import app
from factory.cli.exit_codes import Usage
from factory.cli.home import Home, home, write_private
from factory.cli.settings_here import settings_here
from factory.cli.up import _show

NEEDED = {
    "FACTORY_DATABASE_URL": "postgresql+psycopg://app:s3cret-of-the-base@127.0.0.1/factory",
    "FACTORY_REDIS_URL": "redis://:another-secret@127.0.0.1:1/0",
    "FACTORY_STORAGE_URL": "file:///tmp/pictures",
    "FACTORY_LINK_SECRET": "it's a #secret with 'quotes', \\ and spaces, long",
}


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    for name in [name for name in os.environ if name.startswith("FACTORY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("FACTORY_HOME", str(tmp_path))


def test_settings_of_a_running_stack_are_found_and_read_back_exactly(tmp_path):
    home().write_env(NEEDED)
    settings = settings_here()
    assert settings.link_secret.get_secret_value() == NEEDED["FACTORY_LINK_SECRET"]
    assert settings.database_url.get_secret_value() == NEEDED["FACTORY_DATABASE_URL"]


def test_the_environment_wins_over_the_stack(monkeypatch):
    home().write_env(NEEDED)
    for name, value in {**NEEDED, "FACTORY_REDIS_URL": "redis://:mine@elsewhere:1/0"}.items():
        monkeypatch.setenv(name, value)
    assert settings_here().redis_url.get_secret_value() == "redis://:mine@elsewhere:1/0"


def test_missing_settings_are_all_named_and_no_secret_is_repeated(monkeypatch):
    monkeypatch.setenv("FACTORY_LINK_SECRET", "do-not-say-this")
    monkeypatch.setenv("FACTORY_LINK_SECONDS", "forever")
    with pytest.raises(Usage) as told:
        settings_here()
    assert "missing: FACTORY_DATABASE_URL, FACTORY_REDIS_URL, FACTORY_STORAGE_URL" in str(told.value)
    assert "FACTORY_LINK_SECONDS" in str(told.value)
    assert "do-not-say-this" not in str(told.value)


def test_files_with_secrets_are_for_their_owner_only(tmp_path):
    file = tmp_path / "key"
    write_private(file, "one")
    write_private(file, "two")
    assert file.read_text() == "two"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_facts_of_a_stack_that_does_not_run_are_empty(tmp_path):
    assert Home(tmp_path).facts() == {}
    Home(tmp_path).facts_file.write_text('{"url": "http')
    assert Home(tmp_path).facts() == {}


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["jobs", "list"], 2, "no factory to talk to"),
        (["keys", "list"], 2, "missing: FACTORY_DATABASE_URL"),
        (["submit"], 2, "name a file"),
        (["submit", "x.csv", "--prompt", "a cup"], 2, "name a file"),
        (["submit", "x.csv", "--seed", "1"], 2, "in a file they are columns"),
        (["jobs", "replay"], 2, "--all"),
        (["worker", "gpu"], 2, "missing: FACTORY_DATABASE_URL"),
        (["worker", "tpu"], 2, "tpu"),
        (["flower"], 2, "missing"),
        (["migrate"], 2, "missing"),
    ],
)
def test_wrong_usage_ends_with_two_and_one_line(words, code, said):
    answer = CliRunner().invoke(app, words)
    assert answer.exit_code == code
    assert said in " ".join(answer.stderr.split())
    assert "Traceback" not in answer.stderr


def test_a_shell_reads_address_and_key_of_a_running_stack(tmp_path):
    here = home()
    here.write_client("http://127.0.0.1:4711", "fk_it's a key")
    assert stat.S_IMODE(here.client_file.stat().st_mode) == 0o600
    script = f'. "{here.client_file}" && env'
    seen = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert {"URL=http://127.0.0.1:4711", "KEY=fk_it's a key", "FACTORY_URL=http://127.0.0.1:4711", "FACTORY_API_KEY=fk_it's a key"} <= set(
        seen
    )


def test_what_to_try_is_one_line_that_can_be_pasted(tmp_path, capsys):
    names = ("url", "key_file", "client_file", "flower_url", "flower_user", "flower_password", "pictures", "logs")
    _show({**dict.fromkeys(names, str(tmp_path / ("x" * 40))), "engine": "simulated"}, seconds=1)
    words = shlex.split(capsys.readouterr().out.splitlines()[-1])
    assert words[-4:] == ["submit", "--prompt", "a red mug on white, 白底红色马克杯", "--wait"]
    assert words[0].endswith("bin/factory") or words[:3] == ["python", "-m", "factory"]
