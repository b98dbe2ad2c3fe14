"""What is told of many pictures goes to the broker in few messages, in order and complete."""

from __future__ import annotations

import base64
import importlib
import json
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery
from redis import Redis

from factory.domain.claim import Claim
from factory.jobs.close_job import Finished
from factory.settings import load_settings
from tests.integration.queue.plant import Plant
from tests.orders import order

PICTURES = 7
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CLAIM = Claim(
    job_id=uuid.UUID(int=0),
    attempt=1,
    worker="w",
    tenant="acme",
    batch_id=None,
    sku="K1",
    project="spring",
    day=NOW.date(),
    seq=1,
    spec=order(prompt="nobody's business"),
    created_at=NOW,
)
FINISHED = Finished(
    key="k",
    filename="spring_000001.png",
    media_type="image/png",
    size=3,
    sha256="0" * 64,
    width=512,
    height=512,
    evaluations=8,
    facts={},
    seconds={},
    policy_version="test",
)


@pytest.fixture
def plant(build_plant, monkeypatch):
    """Modules of factory.tasks read the environment when they are imported."""
    plant = build_plant()
    for variable, value in plant.env.items():
        monkeypatch.setenv(variable, value)
    load_settings.cache_clear()
    yield plant
    load_settings.cache_clear()


def test_few_messages_for_many_pictures(plant: Plant) -> None:
    picture_events = importlib.import_module("factory.tasks.picture_events")
    claims = [replace(CLAIM, job_id=uuid.UUID(int=n)) for n in range(PICTURES)]
    url = plant.env["FACTORY_REDIS_URL"]
    with Celery(broker=url) as app, Redis.from_url(url) as redis, redis.pubsub(ignore_subscribe_messages=True) as ear:
        ear.psubscribe("*celeryev*")
        events = picture_events.PictureEvents(app)
        events.shift("gpu@test", "shift")
        for claim in claims:
            events.started(claim)
            events.succeeded(claim, FINISHED)
        messages = heard(ear, 3 * PICTURES)
        events.dropped(claims[0])
        events.close()
        last = heard(ear, 1)
    assert len(messages) <= 3
    told = [(event["uuid"], event["type"]) for message in messages for event in message]
    kinds = "task-received", "task-started", "task-succeeded"
    assert told == [(str(claim.job_id), kind) for claim in claims for kind in kinds]
    assert messages[0][0]["kwargs"] == "{'sku': 'K1', 'batch': '', 'checkpoint': 'tiny'}"
    assert "business" not in json.dumps(messages)
    assert [event["type"] for message in last for event in message] == ["task-revoked"], "what is told last is sent before it closes"


def heard(ear: Any, events: int) -> list[list[dict[str, Any]]]:
    """The messages that carry so many events."""
    messages: list[list[dict[str, Any]]] = []
    ends = time.monotonic() + 20
    while sum(map(len, messages)) < events and time.monotonic() < ends:
        if said := ear.get_message(timeout=0.5):
            body = json.loads(base64.b64decode(json.loads(said["data"])["body"]))
            messages.append(body if isinstance(body, list) else [body])
    return messages
