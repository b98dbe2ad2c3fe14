"""scripts/make_secrets.py makes what compose asks for, once."""

import base64
import hashlib
import json
import os
import subprocess
import sys

import make_secrets
import pytest

from factory.settings import Settings
from tests.unit.infra.test_compose import COMPOSE, ROOT


@pytest.fixture
def folder(tmp_path):
    make_secrets.make(tmp_path / "secrets", "factory.example.com")
    return tmp_path / "secrets"


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_it_makes_every_secret_of_compose_and_no_other(folder):
    assert set(content(folder)) == set(COMPOSE["secrets"])
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_second_run_changes_nothing(folder):
    before = content(folder)
    make_secrets.make(folder, "other.example.com")
    assert content(folder) == before


def test_two_deployments_share_nothing(folder, tmp_path):
    make_secrets.make(tmp_path / "other", "factory.example.com")
    assert not set(content(folder).values()) & set(content(tmp_path / "other").values())


def test_the_settings_read_the_files(folder, monkeypatch):
    monkeypatch.setenv("FACTORY_STORAGE_URL", "s3://factory")
    settings = Settings(_secrets_dir=folder)
    password = (folder / "postgres_app_password").read_text()
    assert settings.database_url.get_secret_value() == f"postgresql+psycopg://factory_app:{password}@postgres:5432/factory"
    assert len(settings.link_secret.get_secret_value()) >= 32
    user = json.loads((folder / "s3_identities").read_text())["identities"][0]
    assert user["credentials"] == [{"accessKey": settings.s3_access_key, "secretKey": settings.s3_secret_key.get_secret_value()}]


def test_every_process_reads_them_from_the_folder_it_is_told(folder):
    env = {"PATH": os.environ["PATH"], "FACTORY_SECRETS_DIR": str(folder), "FACTORY_STORAGE_URL": "s3://factory"}
    program = (
        "from factory.settings import Settings, load_settings; assert load_settings() == Settings(); print(load_settings().s3_access_key)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == (folder / "factory_s3_access_key").read_text(), done.stderr


def test_nginx_asks_for_the_password_that_flower_knows(folder):
    user, _, hashed = (folder / "flower_htpasswd").read_text().strip().partition(":{SSHA}")
    raw = base64.b64decode(hashed)
    assert user == Settings.model_fields["flower_user"].default
    assert hashlib.sha1((folder / "factory_flower_password").read_bytes() + raw[20:]).digest() == raw[:20]  # noqa: S324 - the scheme of the file


def test_redis_reads_its_password_from_the_file(folder):
    assert (folder / "redis_auth").read_text().startswith("requirepass ")
    assert (folder / "redis_auth").read_text().split()[1] in (folder / "factory_redis_url").read_text()
