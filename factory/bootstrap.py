"""Settings in, wired stations out: the only place that knows which class implements what."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import timedelta

from factory.db import Database
from factory.domain.checkpoint import Checkpoint
from factory.jobs.admit import Admission, Limits
from factory.jobs.checkpoints import list_checkpoints
from factory.jobs.end_attempt import RetryRules
from factory.postprocess.chain import Chain
from factory.postprocess.digest import Digest
from factory.postprocess.encode import Encode
from factory.postprocess.label import VisibleLabel
from factory.postprocess.metadata import Metadata
from factory.postprocess.prompt_filter import PromptFilter
from factory.postprocess.prompt_rules import PromptRules, load_rules
from factory.settings import Settings
from factory.storage import Storage, open_storage


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


def build_chain(settings: Settings, rules: PromptRules) -> Chain:
    """The ordered steps of a picture on its way out."""
    return Chain(
        [
            PromptFilter(rules),
            VisibleLabel(text=settings.label_text),
            Encode(),
            Metadata(provider_code=settings.provider_code),
            Digest(),
        ]
    )


def build_admission(settings: Settings, db: Database, rules: PromptRules) -> Callable[[], Admission]:
    """What orders are checked against; called for each request, so that a checkpoint registered now can be ordered now."""
    limits = Limits(settings.max_side, settings.max_prompt_characters, settings.max_rows)
    check = PromptFilter(rules).check_prompt

    def admission() -> Admission:
        checkpoints: dict[str, Checkpoint] = list_checkpoints(db)
        return Admission(limits, checkpoints, check)

    return admission


def retry_rules(settings: Settings) -> RetryRules:
    return RetryRules(settings.max_transient_failures, timedelta(seconds=settings.retry_base_seconds))


def worker_name(settings: Settings) -> str:
    """Unique per GPU process: two processes with one name would share their leases."""
    return settings.worker_name or f"{socket.gethostname()}-{os.getpid()}"
