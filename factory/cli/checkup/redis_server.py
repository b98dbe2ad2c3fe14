"""Checks of Redis or Valkey: there, behind a password, evicting nothing, keeping what it is told."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis

from factory.cli.checkup.finding import Sick
from factory.settings import Settings

PATIENCE = {"socket_connect_timeout": 3, "socket_timeout": 3}


def _ask(settings: Settings) -> Any:
    return redis.Redis.from_url(settings.redis_url.get_secret_value(), decode_responses=True, **PATIENCE)


def reachable(settings: Settings) -> str:
    try:
        with _ask(settings) as server:
            info: dict[str, Any] = server.info("server")
    except redis.RedisError as fault:
        raise Sick(f"no answer: {fault}", "start Redis, and see FACTORY_REDIS_URL") from fault
    return f"{info.get('server_name', 'redis')} {info.get('valkey_version', info['redis_version'])}"


def password(settings: Settings) -> str:
    """A stranger gets no answer."""
    parts = urlsplit(settings.redis_url.get_secret_value())
    bare = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    try:
        with redis.Redis.from_url(bare, **PATIENCE) as stranger:
            stranger.ping()
    except redis.AuthenticationError:
        return "strangers are refused"
    raise Sick("anybody who reaches its port may use it", "set `requirepass`, and the password in FACTORY_REDIS_URL")


def evicts_nothing(settings: Settings) -> str:
    policy = _config(settings, "maxmemory-policy")
    if policy != "noeviction":
        raise Sick(f"maxmemory-policy is {policy}: Celery's messages may vanish", "set `maxmemory-policy noeviction`")
    return policy


def keeps(settings: Settings) -> str:
    if _config(settings, "appendonly") != "yes":
        raise Sick("appendonly is off: a restart forgets the queue, which upkeep repairs slowly", "set `appendonly yes`", serious=False)
    return "append-only file is on"


def _config(settings: Settings, name: str) -> str:
    try:
        with _ask(settings) as server:
            return str(server.config_get(name)[name])
    except redis.ResponseError as fault:
        raise Sick(f"this server does not tell its {name} ({fault})", "look it up in your provider's console", serious=False) from fault
