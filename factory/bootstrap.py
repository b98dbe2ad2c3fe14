"""Settings in, wired stations out: the only place that knows which class implements what."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from factory.db import Database
from factory.domain.checkpoint import Checkpoint
from factory.domain.offpeak import is_offpeak
from factory.jobs.admit import Admission, Limits
from factory.jobs.checkpoints import list_checkpoints
from factory.jobs.compose_message import Mailroom
from factory.jobs.end_attempt import RetryRules
from factory.jobs.finishing_line import Stations
from factory.jobs.gpu_worker import GpuWorker
from factory.jobs.lease_keeper import LeaseKeeper
from factory.jobs.loras import list_loras
from factory.jobs.picture_journal import PictureJournal
from factory.jobs.waiting_room import WaitingRoom
from factory.notify.courier import Courier
from factory.notify.feishu_pictures import FeishuPictures
from factory.notify.guard import Reach, read_networks
from factory.postprocess.chain import Chain
from factory.postprocess.digest import Digest
from factory.postprocess.encode import Encode
from factory.postprocess.label import VisibleLabel
from factory.postprocess.label_book import LabelBook, load_labels
from factory.postprocess.metadata import Metadata
from factory.postprocess.prompt_filter import PromptFilter
from factory.postprocess.prompt_rules import PromptRules, load_rules
from factory.settings import Settings
from factory.storage import Storage, open_storage
from factory.storage.own_folder import own_folder
from factory.storage.spool import Spool
from factory.workers.engines import ENGINES, Engine
from factory.workers.engines.late import LateEngine
from factory.workers.engines.vram import vram_budget
from factory.workers.gpu import Gpu
from factory.workers.pipeline_cache import PipelineCache


def build_database(settings: Settings, *, pool_size: int = 5) -> Database:
    return Database(settings.database_url.get_secret_value(), pool_size=pool_size)


def build_storage(settings: Settings) -> Storage:
    return open_storage(
        settings.storage_url,
        s3_access_key=settings.s3_access_key,
        s3_secret_key=settings.s3_secret_key.get_secret_value(),
        public_url=settings.public_url,
        link_secret=settings.link_secret.get_secret_value(),
    )


def build_rules(settings: Settings) -> PromptRules:
    """Raises when the bundle does not load or fails its own golden set: no rules, no orders."""
    return load_rules(settings.policy_file)


def build_labels(settings: Settings) -> LabelBook:
    """Raises when a style is wrong, weaker than the law or without its logo: no labels, no pictures."""
    return load_labels(settings.labels_file, text=settings.label_text)


def build_chain(settings: Settings, rules: PromptRules) -> Chain:
    """The ordered steps of a picture on its way out."""
    return Chain(
        [
            PromptFilter(rules),
            VisibleLabel(build_labels(settings)),
            Encode(),
            Metadata(provider_code=settings.provider_code),
            Digest(),
        ]
    )


def build_admission(settings: Settings, db: Database, rules: PromptRules) -> Callable[[], Admission]:
    """What orders are checked against; called for each request, so that a checkpoint registered now can be ordered now."""
    limits = Limits(settings.max_side, settings.max_prompt_characters, settings.max_rows, settings.default_max_queued)

    def admission() -> Admission:
        checkpoints: dict[str, Checkpoint] = list_checkpoints(db)
        return Admission(limits, checkpoints, rules.evaluate, loras=list_loras(db))

    return admission


def build_mailroom(settings: Settings) -> Mailroom:
    """What sends webhooks, and may reach what the settings say."""
    courier = Courier(Reach(read_networks(settings.webhook_networks), plain_http=settings.webhook_plain_http))
    secret = settings.feishu_app_secret.get_secret_value()
    pictures = FeishuPictures(courier, settings.feishu_app_id, secret) if settings.feishu_app_id else None
    return Mailroom(courier, build_storage(settings), settings.link_seconds, pictures)


def retry_rules(settings: Settings) -> RetryRules:
    return RetryRules(settings.max_transient_failures, timedelta(seconds=settings.retry_base_seconds))


def worker_name(settings: Settings) -> str:
    """Unique per GPU process: two processes with one name would share their leases."""
    return settings.worker_name or f"{socket.gethostname()}-{os.getpid()}"


def build_engines(settings: Settings) -> dict[str, Engine]:
    """Every engine, none of them opened: a job whose engine does not load here goes to another worker."""
    options: dict[str, dict[str, Any]] = {"simulated": {"seconds": settings.simulated_seconds}, "zimage": {"loras": settings.loras_dir}}
    return {name: LateEngine(name, **options.get(name, {})) for name in ENGINES}


def build_gpu_worker(settings: Settings, *, journal: PictureJournal) -> GpuWorker:
    """One GPU process with its threads running. What may fail comes before the first thread: a failed call leaves none behind."""
    hours = settings.offpeak_windows, settings.timezone
    is_offpeak(datetime.now(UTC), *hours)  # unreadable ones fail here, not in the night
    db = build_database(settings, pool_size=6)
    name = worker_name(settings)
    lease = timedelta(seconds=settings.lease_seconds)
    cache = PipelineCache(build_engines(settings), settings.checkpoints_dir, budget_bytes=settings.vram_bytes or vram_budget())
    rules = build_rules(settings)
    chain, storage = build_chain(settings, rules), build_storage(settings)
    # What an earlier process of this name spooled is stale: its leases are gone and its jobs are drawn again.
    spool = Spool(own_folder(settings.data_dir / "spool", name), settings.spool_pictures, max_age_seconds=0)
    stations = Stations(
        db=db,
        chain=chain,
        policy_version=rules.version,
        storage=storage,
        keeper=LeaseKeeper(db, lease),
        waiting_room=WaitingRoom(spool),
        rules=retry_rules(settings),
        journal=journal,
    )
    return GpuWorker(
        Gpu(cache, name),
        stations,
        name=name,
        lease=lease,
        threads=settings.finishing_threads,
        is_offpeak=lambda: is_offpeak(datetime.now(UTC), *hours),
    )
