"""Every knob, one object: environment variables FACTORY_<NAME>, the file FACTORY_ENV_FILE, or files factory_<name> in FACTORY_SECRETS_DIR."""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Nothing here has a default credential: the embedded stack makes its own, production must set them."""

    model_config = SettingsConfigDict(env_prefix="FACTORY_", extra="ignore", secrets_dir=os.environ.get("FACTORY_SECRETS_DIR"))

    database_url: SecretStr = Field(description="postgresql+psycopg://factory_app:…@host/db, the role that cannot rewrite the audit log")
    migration_database_url: SecretStr | None = Field(None, description="the owner's URL; only `factory migrate` uses it")
    redis_url: SecretStr = Field(description="redis://:password@host:port/0")
    storage_url: str = Field(description="file:///folder or s3://bucket?endpoint=https://host:port&region=…")
    s3_access_key: str = ""
    s3_secret_key: SecretStr = SecretStr("")
    public_url: str = Field("http://127.0.0.1:8000", description="where clients reach the API; links start with it")
    link_secret: SecretStr = Field(description="signs the links that the API serves, at least 32 characters")
    link_seconds: int = Field(3600, ge=1, le=604_800, description="life of a signed link")

    data_dir: Path = Field(Path(".factory"), description="spool and caches of this node")
    checkpoints_dir: Path = Field(Path("checkpoints"), description="one folder per checkpoint, diffusers layout, safetensors only")
    worker_name: str = Field("", description="unique per GPU process; default host-pid")
    loras_dir: Path = Field(Path("loras"), description="one folder per LoRA with pytorch_lora_weights.safetensors")
    vram_bytes: int = Field(0, ge=0, description="budget of the pipeline cache; 0 = ask the card, or 4 GiB on a CPU")
    lease_seconds: float = Field(60, gt=0, description="how long a claim holds without renewal")
    shift_seconds: float = Field(30, gt=0, description="a task that draws, or reads orders, ends after this long")
    max_lost_leases: int = Field(3, ge=1, description="a job whose worker vanished this often is poison")
    max_transient_failures: int = Field(5, ge=1, description="passing faults after which a job is a dead letter")
    retry_base_seconds: float = Field(2.0, ge=0, description="first backoff; doubles, with full jitter, up to 5 minutes")
    spool_pictures: int = Field(64, ge=1, description="finished pictures that may wait for a storage that is down")
    finishing_threads: int = Field(2, ge=1)
    simulated_seconds: float = Field(0.2, ge=0, description="what one picture of the simulated engine takes")

    sweep_seconds: float = Field(3600, gt=0, description="how often orphaned objects are looked for")
    sweep_after_seconds: float = Field(
        86_400, ge=0, description="objects that no asset names live this long; keep it above the age of your oldest backup"
    )
    watchdog_seconds: float = Field(90, gt=0, description="a worker that received nothing for this long while work waits exits")

    max_side: int = Field(1024, description="pixels; larger orders are refused")
    max_prompt_characters: int = 2000
    max_rows: int = Field(100_000, description="rows in one batch")
    cny_per_gpu_hour: float = Field(20.0, ge=0, description="what a GPU hour costs you; quotes multiply by it")
    default_max_queued: int = Field(200_000, ge=0, description="rows that a tenant may queue unless its allowance says otherwise")
    offpeak_windows: str = Field("22:00-08:00", description="when priority offpeak is drawn; several with commas; empty = always")
    timezone: str = Field("Asia/Shanghai", description="of the off-peak windows")
    max_body_bytes: int = Field(50 * 1024 * 1024)
    policy_file: Path | None = Field(None, description="prompt rules; default: the ones in the package")
    label_text: str = "AI生成"
    labels_file: Path | None = Field(None, description="looks of the visible label, per profile and tenant; default: built in")
    provider_code: str = Field("", description="27 characters of TC260-PG-20252A; left out of the label while empty")

    webhook_networks: str = Field(
        "", description="inner networks that webhooks may reach on any port, as 127.0.0.0/8, 10.1.0.0/16; empty = public addresses only"
    )
    webhook_plain_http: bool = Field(False, description="webhooks may also go to http on port 80")
    feishu_app_id: str = Field("", description="an app that uploads thumbnails for Feishu's cards; without it they have no picture")
    feishu_app_secret: SecretStr = Field(SecretStr(""), description="of that app; Feishu makes it: in .env, in no file of secrets/")

    flower_user: str = "ops"
    flower_password: SecretStr | None = None
    flower_port: int = 5555
    worker_metrics_port: int = Field(0, description="0 = no metrics port on this worker")
    log_format: str = Field("json", pattern="^(json|console)$")
    log_level: str = "INFO"


@lru_cache
def load_settings() -> Settings:
    """Read the environment once. Raises pydantic.ValidationError that names each missing variable."""
    env_file = os.environ.get("FACTORY_ENV_FILE")
    return Settings(_env_file=env_file)
