"""docker-compose.yml against the compose specification, its own references, and what it must never contain."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
import yaml
from typer.core import TyperGroup

from factory.cli import app
from factory.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
FILES = ["docker-compose.yml", "docker-compose.gpu.yml"]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("content-factory-")}
ROLES = {"api", "gpu-worker", "cpu-worker", "beat", "redis", "postgres", "s3", "flower", "nginx", "migrate"}


def test_the_files_follow_the_compose_specification_and_a_wrong_one_does_not(tmp_path):
    wrong = tmp_path / "wrong.yml"
    wrong.write_text("services:\n  api:\n    imagee: x\n")
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", "--output-format", "json", "--verbose"]
    done = subprocess.run([*check, *FILES, str(wrong)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    told = json.loads(done.stdout)
    assert sorted(told["successes"]) == sorted(FILES), done.stdout
    assert {fault["filename"] for fault in told["errors"]} == {str(wrong)}
    assert "imagee" in done.stdout


def test_every_role_has_a_service():
    assert set(SERVICES) == ROLES
    assert set(yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())["services"]) == {"gpu-worker"}


def used(kind):
    """The names that services use of a top-level section."""
    found = set()
    for service in SERVICES.values():
        entries = service.get(kind, [])
        if kind == "volumes":
            entries = [entry.split(":")[0] for entry in entries if re.match(r"[a-z]", entry)]
        found |= set(entries)
    return found


@pytest.mark.parametrize("kind", ["networks", "secrets", "volumes"])
def test_everything_used_is_defined_and_the_other_way_round(kind):
    assert used(kind) == set(COMPOSE[kind])


def test_services_wait_for_services_that_can_tell():
    for name, service in SERVICES.items():
        for other, how in service.get("depends_on", {}).items():
            wanted = how["condition"]
            assert other in SERVICES, f"{name} waits for {other}, which is no service"
            assert wanted in {"service_healthy", "service_completed_successfully"}
            assert (wanted == "service_completed_successfully") == (other == "migrate")
            assert other == "migrate" or "healthcheck" in SERVICES[other]


@pytest.mark.parametrize("name", sorted(ROLES))
def test_service_is_hardened(name):
    service = SERVICES[name]
    assert service["init"] is True
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["stop_grace_period"] == "90s"
    assert any(entry.startswith("/tmp:mode=1777") for entry in service["tmpfs"])
    assert "healthcheck" in service or name == "migrate"
    assert "privileged" not in service
    assert not any("docker.sock" in str(volume) for volume in service.get("volumes", []))


def test_only_nginx_is_published():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["nginx"]
    assert COMPOSE["networks"]["inside"] == {"internal": True}
    assert {name for name, service in SERVICES.items() if "outside" in service["networks"]} == {
        "nginx",
        "api",
        "flower",
        "s3",
        "cpu-worker",
    }


def test_images_are_pinned_and_name_no_registry():
    for service in SERVICES.values():
        image, _, tag = service["image"].partition(":")
        assert "." not in image.split("/")[0]
        assert re.search(r"\d", tag), f"{image}: pin a version"
        assert "latest" not in tag


def environment(service):
    given = service.get("environment", {})
    return given if isinstance(given, dict) else dict(entry.split("=", 1) for entry in given)


def test_no_credential_has_a_default_or_stands_in_a_variable():
    for name, service in SERVICES.items():
        for variable, value in environment(service).items():
            if re.search(r"PASSWORD|SECRET|KEY|TOKEN", variable):
                assert variable == "FACTORY_SECRETS_DIR" or variable.endswith("_FILE"), f"{name}: {variable} is no file"
            assert not re.search(r"://[^/{}]*:[^/{}]*@", str(value)), f"{name}: {variable} holds a password"
    text = "".join((ROOT / file).read_text() for file in FILES)
    defaults = dict(re.findall(r"\$\{(\w+):-([^}]*)", text))
    assert not [name for name in defaults if re.search(r"PASSWORD|SECRET|KEY|TOKEN", name)]


def test_secrets_are_files_in_an_ignored_folder():
    assert {secret["file"] for secret in COMPOSE["secrets"].values()} == {f"./secrets/{name}" for name in COMPOSE["secrets"]}
    ignored = subprocess.run(["git", "check-ignore", "-q", "secrets/x"], cwd=ROOT, check=False).returncode
    assert ignored == 0 or not (ROOT / ".git").exists()


def test_factory_variables_are_settings():
    known = {f"FACTORY_{name.upper()}" for name in Settings.model_fields} | {"FACTORY_SECRETS_DIR"}
    for service in OURS.values():
        assert {name for name in environment(service) if name.startswith("FACTORY_")} <= known
        assert {name.upper() for name in service["secrets"] if name.startswith("factory_")} <= known


def test_only_migrate_knows_the_owner():
    assert [name for name, service in SERVICES.items() if "factory_migration_database_url" in service.get("secrets", [])] == ["migrate"]


def test_the_gpu_is_asked_for_in_the_override_only():
    assert "deploy" not in SERVICES["gpu-worker"]
    worker = yaml.safe_load((ROOT / "docker-compose.gpu.yml").read_text())["services"]["gpu-worker"]
    assert worker["deploy"]["resources"]["reservations"]["devices"][0]["capabilities"] == ["gpu"]


def test_every_queue_has_a_worker():
    source = "\n".join(path.read_text() for path in (ROOT / "factory" / "tasks").glob("*.py"))
    queues = set(re.findall(r'_QUEUE\b.*?= .*?"(\w+)"', source)) | {
        name for pair in re.findall(r'^GPU_QUEUE, CPU_QUEUE = "(\w+)", "(\w+)"', source, re.MULTILINE) for name in pair
    }
    served = {service["command"][1] for service in OURS.values() if service.get("command", [""])[0] == "worker"}
    assert queues == served == {"gpu", "cpu"}


def test_every_command_is_one_of_the_command_line():
    group = typer.main.get_command(app)
    assert isinstance(group, TyperGroup)
    known = group.commands
    for service in OURS.values():
        command = known[service["command"][0]]
        command.make_context("compose", service["command"][1:])


def test_health_checks_in_python_compile_and_import_what_exists():
    programs = [check["test"][-1] for service in OURS.values() if (check := service.get("healthcheck")) and "-c" in check["test"]]
    assert len(programs) == 5
    for program in programs:
        compile(program, "healthcheck", "exec")
        for module, name in re.findall(r"from (factory[\w.]+) import (\w+)", program):
            path = ROOT / (module.replace(".", "/") + ".py")
            assert f"def {name}(" in path.read_text()
