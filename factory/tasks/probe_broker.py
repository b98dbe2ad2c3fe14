"""probe_broker: does the broker answer? One attempt, a second at most."""

from __future__ import annotations

from kombu.connection import Connection

from factory.tasks.celery_app import app
from factory.tasks.ring import PUBLISHER_TRANSPORT


def probe_broker() -> None:
    """For health pages. Raises whatever the broker's client raises."""
    with Connection(app.conf.broker_url, connect_timeout=1, transport_options=PUBLISHER_TRANSPORT) as connection:
        connection.default_channel.client.ping()
