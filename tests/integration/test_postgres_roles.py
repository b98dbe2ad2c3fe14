"""infra/postgres/roles.sh, run by the real psql on a real Postgres: two roles that are no superusers, and migrations work as the owner."""

import os
import subprocess
from pathlib import Path

import psycopg
import pytest

from factory.embedded.postgres import OWNER, Postgres, postgres_binaries
from factory.jobs.migrate import migrate

SCRIPT = Path(__file__).resolve().parents[2] / "infra" / "postgres" / "roles.sh"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    """A fresh cluster as the official image leaves it to its init scripts: a superuser, and none of our roles."""
    folder = tmp_path_factory.mktemp("roles")
    with Postgres(folder, settings={"fsync": "off"}) as server:
        admin = f"postgresql://{OWNER}:{server.password}@127.0.0.1:{server.port}/postgres"
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute("DROP DATABASE factory")
            connection.execute("DROP ROLE factory_app")
            connection.execute(f"CREATE ROLE root_of_image SUPERUSER LOGIN PASSWORD '{server.password}'")
            connection.execute("SET ROLE root_of_image")
        admin = admin.replace(OWNER, "root_of_image")
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"ALTER ROLE {OWNER} RENAME TO initdb_owner")
        for role in ("owner", "app"):
            (folder / role).write_text(f"{role}-password-0123456789")
        surroundings = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PG")},
            "PATH": f"{postgres_binaries()}:{os.environ['PATH']}",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGPASSWORD": server.password,
            "POSTGRES_USER": "root_of_image",
            "OWNER_PASSWORD_FILE": str(folder / "owner"),
            "APP_PASSWORD_FILE": str(folder / "app"),
        }
        done = subprocess.run(["sh", str(SCRIPT)], env=surroundings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        yield server


def url(server, role):
    return f"postgresql://factory_{role}:{role}-password-0123456789@127.0.0.1:{server.port}/factory"


def test_roles_are_no_superusers_and_log_in_by_scram(cluster):
    for role in ("owner", "app"):
        with psycopg.connect(url(cluster, role)) as connection:
            row = connection.execute("SELECT rolsuper, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user").fetchone()
            assert row == (False, False, False)


def test_the_owner_migrates_and_the_application_reads_but_cannot_change_the_log(cluster):
    migrate(url(cluster, "owner").replace("postgresql:", "postgresql+psycopg:"))
    with psycopg.connect(url(cluster, "app")) as connection:
        assert connection.execute("SELECT count(*) FROM audit_events").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("DELETE FROM audit_events")


def test_the_application_cannot_make_tables(cluster):
    with psycopg.connect(url(cluster, "app")) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE mine (id int)")
