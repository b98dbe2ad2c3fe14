"""The state of a GPU process: its worker, built once in the child that holds the card."""

from __future__ import annotations

import os

from prometheus_client import start_http_server

from factory import metrics
from factory.bootstrap import build_gpu_worker
from factory.errors import FactoryError
from factory.jobs.gpu_worker import GpuWorker, ShiftSummary
from factory.logs import get_logger
from factory.settings import load_settings
from factory.tasks import shutdown
from factory.tasks.celery_app import app
from factory.tasks.picture_events import PictureEvents

log = get_logger(__name__)
ROLE_VARIABLE = "FACTORY_ROLE"
CLOSE_SECONDS = 10.0

_worker: GpuWorker | None = None
_events = PictureEvents(app)


def start() -> None:
    """Build the worker and draw one real picture, so that the first order finds a warm pipeline."""
    global _worker
    if os.environ.get(ROLE_VARIABLE) != "gpu" or _worker is not None:
        return
    settings = load_settings()
    _worker = build_gpu_worker(settings, journal=_events)
    _serve_metrics(settings.worker_metrics_port)
    try:
        _worker.warm_up()
        metrics.worker_ready.set(1)
    except FactoryError as fault:
        # Each job will say the same of its checkpoint; a worker that does not start says it to nobody.
        log.error("warm-up failed", code=fault.code, detail=str(fault))


def _serve_metrics(port: int) -> None:
    """A taken port costs the numbers of this worker, not its pictures."""
    try:
        if port:
            start_http_server(port)
    except OSError as fault:
        log.error("no metrics: set FACTORY_WORKER_METRICS_PORT to a free port", port=port, fault=str(fault))


def work_one_shift(*, hostname: str, shift_id: str) -> ShiftSummary:
    """Draw until there is no work or the shift is over."""
    start()
    if _worker is None:
        raise RuntimeError(f"this process is no GPU worker: start it with `factory worker gpu` ({ROLE_VARIABLE} is not set)")
    _events.shift(hostname, shift_id)
    return _worker.run_shift(load_settings().shift_seconds, should_stop=shutdown.is_announced)


def stop() -> None:
    """Finish what is drawn, give back the rest."""
    if _worker is not None:
        _worker.close(CLOSE_SECONDS)
        _events.close()
