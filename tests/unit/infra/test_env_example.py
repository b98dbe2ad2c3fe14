""".env.example and the settings name the same knobs, and the example holds no credential."""

import re
from pathlib import Path

from pydantic import SecretStr

from factory.settings import Settings

ROOT = Path(__file__).resolve().parents[3]
LINES = (ROOT / ".env.example").read_text().splitlines()
FOUND = [re.match(r"(?:# )?([A-Z][A-Z0-9_]*)=(.*)", line) for line in LINES]
GIVEN = {line[1]: line[2] for line in FOUND if line}
OUTSIDE_SETTINGS = {"FACTORY_VERSION"}  # the tag of the images, read by compose


def test_every_setting_is_shown_and_nothing_else():
    shown = {name for name in GIVEN if name.startswith("FACTORY_")} - OUTSIDE_SETTINGS
    assert shown == {f"FACTORY_{name.upper()}" for name in Settings.model_fields}


def test_every_variable_of_compose_is_shown():
    text = "".join((ROOT / name).read_text() for name in ("docker-compose.yml", "docker-compose.gpu.yml"))
    assert set(re.findall(r"\$\{(\w+)", text)) <= set(GIVEN)


def test_no_secret_is_given():
    secret = [
        name for name, field in Settings.model_fields.items() if SecretStr in getattr(field.annotation, "__args__", (field.annotation,))
    ]
    assert len(secret) >= 5
    for name in [*secret, "s3_access_key"]:
        assert GIVEN[f"FACTORY_{name.upper()}"] == ""
        assert f"# FACTORY_{name.upper()}=" in LINES, "an empty line would hide the file in secrets/"


def test_shown_defaults_are_the_real_ones():
    for name, field in Settings.model_fields.items():
        value = GIVEN[f"FACTORY_{name.upper()}"]
        if value and not field.is_required() and name not in {"public_url", "data_dir", "checkpoints_dir", "loras_dir", "log_format"}:
            assert str(field.default) == value, name
