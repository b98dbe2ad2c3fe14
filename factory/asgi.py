"""The web process: `uvicorn factory.asgi:app`."""

from factory.api import create_app
from factory.logs import configure
from factory.settings import load_settings
from factory.tasks.probe_broker import probe_broker
from factory.tasks.ring import ring, wake_reader

settings = load_settings()
configure(settings.log_format, settings.log_level)
app = create_app(settings, ring=ring, wake_reader=wake_reader, probe_broker=probe_broker)
