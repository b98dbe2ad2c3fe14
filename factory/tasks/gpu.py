"""Tasks for GPU workers: one shift. Whatever the message says, the jobs table decides what is drawn."""

from __future__ import annotations

import dataclasses
from typing import Any

from celery import Task, signals

from factory.tasks import gpu_process
from factory.tasks.celery_app import app
from factory.tasks.ring import BELL


@app.task(name="factory.generate", bind=True)
def generate(self: Task, *_: Any, **__: Any) -> dict[str, Any]:
    """Work one shift; the summary is what Flower shows. Arguments of a forged message are not even read."""
    summary = gpu_process.work_one_shift(hostname=self.request.hostname, shift_id=self.request.id)
    if summary.more:
        BELL.ring_now(1)
    return dataclasses.asdict(summary)


@signals.worker_process_init.connect
def _start(**_: Any) -> None:
    gpu_process.start()


@signals.worker_process_shutdown.connect
def _stop(**_: Any) -> None:
    gpu_process.stop()
