"""S3Storage: any S3 endpoint, path style, SigV4. It trusts no server: not to keep If-None-Match, not to check a digest."""

from __future__ import annotations

import base64
import contextlib
import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Self
from urllib.parse import SplitResult, quote

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from factory.errors import Conflict, FactoryError, Invalid, NotFound, Permanent, StorageDown
from factory.storage import Access, StoredObject
from factory.storage.links import check_seconds
from factory.storage.naming import check_key, check_prefix, content_disposition
from factory.storage.s3_faults import is_missing, storage_error
from factory.storage.s3_place import S3Place

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import PutObjectOutputTypeDef


class S3Storage:
    """Without access keys boto3's own chain finds them: role, profile, environment."""

    def __init__(self, place: S3Place, *, access_key: str = "", secret_key: str = "") -> None:
        self.bucket, self._region, self._create = place.bucket, place.region, place.create
        self._where = f"bucket {place.bucket!r} at {place.endpoint or 'AWS'}"

        def client(address: str) -> S3Client:
            return boto3.client(
                "s3",
                endpoint_url=address or None,
                region_name=place.region,
                aws_access_key_id=access_key or None,
                aws_secret_access_key=secret_key or None,
                config=_config(place.timeout),
            )

        self._client = client(place.endpoint)
        self._links = client(place.public_endpoint) if place.public_endpoint else self._client

    @classmethod
    def from_url(cls, url: SplitResult, access: Access) -> Self:
        """`s3://bucket?endpoint=…&region=…`; S3Place has the other options. Raises Permanent."""
        try:
            return cls(S3Place.from_url(url), access_key=access.s3_access_key, secret_key=access.s3_secret_key)
        except (ValueError, BotoCoreError) as error:
            raise Permanent(f"FACTORY_STORAGE_URL: {error}") from error

    def put(self, key: str, content: bytes, *, media_type: str, sha256: str, filename: str) -> None:
        check_key(key)
        disposition = content_disposition(filename)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise Permanent(f"the content of {key!r} does not have the sha256 {sha256[:64]!r} that was given with it")
        if self._is_there(key, content, sha256):
            return
        with self._server():
            try:
                answer = self._client.put_object(
                    Bucket=self.bucket,
                    Key=key,
                    Body=content,
                    ContentType=media_type,
                    ContentDisposition=disposition,
                    ChecksumSHA256=_checksum(sha256),
                    IfNoneMatch="*",
                    Metadata={"sha256": sha256, "filename": quote(filename)},
                )
            except ClientError as error:
                if _code(error) == "PreconditionFailed" and self._is_there(key, content, sha256):
                    return  # ours after all: the first answer got lost, or another attempt was faster
                raise
        self._verify(key, content, sha256, answer)

    def get(self, key: str) -> bytes:
        check_key(key)
        with self._server(key):
            return self._client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def url(self, key: str, *, seconds: int, filename: str) -> str:
        check_key(key)
        check_seconds(seconds)
        asked = {"Bucket": self.bucket, "Key": key, "ResponseContentDisposition": content_disposition(filename)}
        with self._server():
            return self._links.generate_presigned_url("get_object", Params=asked, ExpiresIn=seconds)

    def stat(self, key: str) -> StoredObject | None:
        """`sha256` is what the writer said, where the server kept it."""
        check_key(key)
        with self._server():
            try:
                head = self._client.head_object(Bucket=self.bucket, Key=key)
            except ClientError as error:
                if is_missing(_code(error)):
                    return None
                raise
        return StoredObject(key, head["ContentLength"], head["Metadata"].get("sha256"), head["LastModified"])

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        check_prefix(prefix)
        with self._server():
            for page in self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
                for found in page.get("Contents", []):
                    with contextlib.suppress(Invalid):  # a stranger's object, or the placeholder of a folder
                        check_key(found["Key"])
                        yield StoredObject(found["Key"], found["Size"], None, found["LastModified"])

    def delete(self, key: str) -> None:
        check_key(key)
        with self._server():
            self._client.delete_object(Bucket=self.bucket, Key=key)

    def check(self) -> None:
        """Raises Permanent for wrong credentials and a missing bucket: those do not pass by themselves."""
        with self._server(settings_are_wrong=Permanent):
            try:
                self._client.head_bucket(Bucket=self.bucket)
            except ClientError as error:
                if not (self._create and is_missing(_code(error))):
                    raise
                elsewhere = {} if self._region == "us-east-1" else {"LocationConstraint": self._region}
                self._client.create_bucket(Bucket=self.bucket, **({"CreateBucketConfiguration": elsewhere} if elsewhere else {}))  # type: ignore[arg-type]

    def _is_there(self, key: str, content: bytes, sha256: str) -> bool:
        """Whether `key` holds `content` already. Raises Conflict when it holds something else."""
        known = self.stat(key)
        if known is None:
            return False
        if known.bytes == len(content) and (known.sha256 or hashlib.sha256(self.get(key)).hexdigest()) == sha256:
            return True
        raise Conflict(f"{key!r} already holds other bytes; objects are never replaced")

    def _verify(self, key: str, content: bytes, sha256: str, answer: PutObjectOutputTypeDef) -> None:
        """A server that checked the digest says so; of the others we ask for the MD5, and read the object back where they have none."""
        if answer.get("ChecksumSHA256") == _checksum(sha256):
            return
        if answer.get("ETag", "").strip('"') == hashlib.md5(content, usedforsecurity=False).hexdigest():
            return
        if hashlib.sha256(self.get(key)).hexdigest() != sha256:
            self.delete(key)
            raise StorageDown(f"{self._where} stored other bytes than were sent for {key!r}; they are deleted")

    @contextlib.contextmanager
    def _server(self, key: str = "", *, settings_are_wrong: type[FactoryError] = StorageDown) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if key and is_missing(_code(error)) and _code(error) != "NoSuchBucket":
                raise NotFound(f"the storage holds no {key!r}") from error
            status = error.response["ResponseMetadata"].get("HTTPStatusCode", 0)
            raise storage_error(
                _code(error), status, error.response["Error"].get("Message", ""), self._where, settings_are_wrong
            ) from error
        except BotoCoreError as error:
            raise StorageDown(f"{self._where} cannot be reached: {error}") from error


def _code(error: ClientError) -> str:
    return error.response["Error"].get("Code", "")


def _checksum(sha256: str) -> str:
    return base64.b64encode(bytes.fromhex(sha256)).decode()


def _config(timeout: float) -> Config:
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": "path"},
        connect_timeout=min(timeout, 3),
        read_timeout=timeout,
        retries={"total_max_attempts": 2, "mode": "standard"},
        max_pool_connections=16,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
    )
