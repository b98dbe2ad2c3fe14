"""S3Place: what `s3://bucket?endpoint=…` says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, parse_qs

from factory.errors import Permanent

_OPTIONS = {"endpoint", "region", "public_endpoint", "timeout", "create"}


@dataclass(frozen=True)
class S3Place:
    """`public_endpoint` is the address that links carry; `timeout` is in seconds, for each answer; with `create`, `check` makes the bucket."""

    bucket: str
    endpoint: str
    region: str
    public_endpoint: str
    timeout: float
    create: bool

    @classmethod
    def from_url(cls, url: SplitResult) -> Self:
        """Raises Permanent that names what is wrong with FACTORY_STORAGE_URL."""
        options = {name: values[-1] for name, values in parse_qs(url.query).items()}
        if not url.netloc or url.path.strip("/"):
            raise Permanent(
                "FACTORY_STORAGE_URL names no bucket, or a folder in one: write s3://bucket?endpoint=https://host:port&region=…"
            )
        if unknown := options.keys() - _OPTIONS:
            raise Permanent(f"FACTORY_STORAGE_URL has unknown {', '.join(sorted(unknown))}; known are {', '.join(sorted(_OPTIONS))}")
        timeout = options.get("timeout", "5")
        if not timeout.isascii() or not timeout.isdigit() or not 1 <= int(timeout) <= 60:
            raise Permanent(f"FACTORY_STORAGE_URL has timeout={timeout[:20]}: write 1 … 60 seconds")
        region, create = options.get("region", "us-east-1"), options.get("create") == "1"
        return cls(url.netloc, options.get("endpoint", ""), region, options.get("public_endpoint", ""), float(timeout), create)
