"""What an S3 server's refusal means for us."""

from __future__ import annotations

from factory.errors import FactoryError, Permanent, StorageDown

_KEYS = {"AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "TokenRefreshRequired"}
_ADDRESS = {"AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect"}  # signed for, or sent to, another region
# The bytes were damaged on the way, the server is busy, or another writer is on the same key: later may do.
_PASSING = {
    "BadDigest",
    "ConditionalRequestConflict",
    "InternalError",
    "InvalidDigest",
    "RequestTimeout",
    "SlowDown",
    "XAmzContentChecksumMismatch",
    "XAmzContentSHA256Mismatch",
}


def is_missing(code: str) -> bool:
    """HEAD answers have no body, so their code is the bare status."""
    return code in {"404", "NoSuchKey", "NoSuchBucket", "NotFound"}


def storage_error(code: str, status: int, said: str, where: str, settings_are_wrong: type[FactoryError]) -> FactoryError:
    """The error to raise. Wrong settings are `settings_are_wrong`: at start-up they end it, but a picture in flight must outlive a key rotation."""
    if status in {401, 403} or code in _KEYS:
        settings = "FACTORY_S3_ACCESS_KEY and FACTORY_S3_SECRET_KEY"
        return settings_are_wrong(
            f"{where} refused us ({code}: {said}): check {settings}, what they may do there, and this machine's clock"
        )
    if 300 <= status < 400 or code in _ADDRESS:
        return settings_are_wrong(f"{where} is elsewhere ({code}: {said}): correct endpoint and region in FACTORY_STORAGE_URL")
    if is_missing(code):
        return settings_are_wrong(f"{where} does not exist: make it, correct FACTORY_STORAGE_URL, or add create=1 to it")
    if status >= 500 or status in {408, 409, 412, 429} or code in _PASSING:
        return StorageDown(f"{where} did not take the request ({code}: {said})")
    return Permanent(f"{where} refused the request ({code}: {said})")
