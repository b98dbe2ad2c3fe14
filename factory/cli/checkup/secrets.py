"""Checks of the settings: all there, and no secret that everybody knows."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from factory.cli.checkup.finding import Sick, Unasked
from factory.settings import Settings

WORN = {
    "",
    "password",
    "postgres",
    "factory",
    "changeme",
    "change-me",
    "secret",
    "admin",
    "root",
    "redis",
    "minioadmin",
    "minio",
    "test",
    "guest",
}
LEAST = 12
LINK_SECRET = 32


def complete(settings: Settings) -> str:
    return f"{len(type(settings).model_fields)} settings read, storage {urlsplit(settings.storage_url).scheme}:"


def not_worn(settings: Settings) -> str:
    """No password is empty, short or one that every list of passwords starts with."""
    held = {
        "FACTORY_DATABASE_URL": urlsplit(settings.database_url.get_secret_value()).password,
        "FACTORY_REDIS_URL": urlsplit(settings.redis_url.get_secret_value()).password,
        "FACTORY_LINK_SECRET": settings.link_secret.get_secret_value(),
    }
    if settings.storage_url.startswith("s3:"):
        held["FACTORY_S3_SECRET_KEY"] = settings.s3_secret_key.get_secret_value()
    if settings.flower_password is not None:
        held["FACTORY_FLOWER_PASSWORD"] = settings.flower_password.get_secret_value()
    weak = [name for name, value in held.items() if unquote(value or "").lower() in WORN or len(unquote(value or "")) < LEAST]
    if weak:
        raise Sick(f"empty, well-known or shorter than {LEAST} characters: {', '.join(weak)}", "set each to a long random value")
    return f"{len(held)} secrets, none empty or well known"


def link_secret(settings: Settings) -> str:
    length = len(settings.link_secret.get_secret_value())
    if length < LINK_SECRET:
        raise Sick(
            f"FACTORY_LINK_SECRET has {length} characters", f"set at least {LINK_SECRET} random characters; links given out before end"
        )
    return f"{length} characters"


def flower_password(settings: Settings) -> str:
    if settings.flower_password is None:
        raise Unasked("FACTORY_FLOWER_PASSWORD is not set: Flower does not start on this node")
    return "set"
