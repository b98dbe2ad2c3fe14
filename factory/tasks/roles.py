"""How each process of the queue is started: worker, beat, Flower."""

from __future__ import annotations

import os
import socket
import sys
from typing import Any

from celery import signals

from factory.settings import Settings
from factory.tasks.celery_app import CPU_QUEUE, GPU_QUEUE, app
from factory.tasks.gpu_process import ROLE_VARIABLE

TASKS_COLUMNS = "name,uuid,state,kwargs,result,received,started,runtime,worker"


def run_worker(role: str, settings: Settings) -> None:
    """Serve `gpu` (one child, one card) or `cpu` (three children: webhooks and the reading of orders occupy one each) until SIGTERM. Gossip and mingle cost connections and tell us nothing."""
    from factory.tasks import clean_messages, shutdown, watchdog

    queue, children = (GPU_QUEUE, 1) if role == "gpu" else (CPU_QUEUE, 3)
    name = settings.worker_name or f"{socket.gethostname()}-{os.getpid()}"
    # The child reads its settings anew: it must find the same name, also after it was replaced.
    os.environ.update({ROLE_VARIABLE: role, "FACTORY_WORKER_NAME": name})
    clean_messages.install(app, {GPU_QUEUE, CPU_QUEUE})
    shutdown.announce_in(settings.data_dir)
    watchdog.keep_watch()
    started: list[Any] = []
    signals.worker_init.connect(lambda sender, **_: started.append(sender), weak=False)
    app.worker_main(
        [
            "worker",
            "-Q",
            queue,
            "-c",
            str(children),
            "-n",
            f"{role}@{name}",
            "-E",
            "--without-gossip",
            "--without-mingle",
            "--loglevel=WARNING",
        ]
    )
    # Celery forgets it on the way out of its command line; a supervisor must see a worker that failed.
    sys.exit(started[0].exitcode if started else 1)


def run_beat(settings: Settings) -> None:
    """The clock of upkeep. Two of them are harmless."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    app.start(["beat", "--schedule", str(settings.data_dir / "beat"), "--pidfile=", "--loglevel=WARNING"])


def run_flower(settings: Settings, address: str = "127.0.0.1") -> None:
    """Flower, read-only, with every route behind the password. Raises ValueError without one."""
    if settings.flower_password is None:
        raise ValueError("FACTORY_FLOWER_PASSWORD is not set: Flower does not start without a password")
    from factory.tasks.flower_door import lock_every_route

    lock_every_route(settings.flower_user, settings.flower_password.get_secret_value())
    # By environment, not by argument: arguments are readable by every user of the machine.
    os.environ["FLOWER_BASIC_AUTH"] = f"{settings.flower_user}:{settings.flower_password.get_secret_value()}"
    app.start(
        [
            "flower",
            f"--address={address}",
            f"--port={settings.flower_port}",
            "--read-only",
            "--max-tasks=20000",
            f"--tasks-columns={TASKS_COLUMNS}",
            "--inspect-timeout=5000",
            "--purge-offline-workers=60",
            "--task-runtime-metric-buckets=0.1,0.5,1,2,5,10,20,30,45,60,120",
            "--logging=warning",
        ]
    )
