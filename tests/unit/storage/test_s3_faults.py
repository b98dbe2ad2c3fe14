"""What an S3 server's refusal means: whether a picture in flight may be tried again."""

import pytest

from factory.errors import Permanent, StorageDown
from factory.storage.s3_faults import storage_error

PASSING = [
    ("OperationAborted", 409),
    ("PreconditionFailed", 412),
    ("ConditionalRequestConflict", 409),
    ("SlowDown", 503),
    ("BadDigest", 400),
]
KEYS = [("ExpiredToken", 400), ("TokenRefreshRequired", 400), ("InvalidToken", 400), ("InvalidAccessKeyId", 403)]
ADDRESS = [("AuthorizationHeaderMalformed", 400), ("PermanentRedirect", 301), ("307", 307)]


@pytest.mark.parametrize(("code", "status"), PASSING)
def test_what_passes_is_never_permanent(code, status):
    assert type(storage_error(code, status, "", "bucket", Permanent)) is StorageDown


@pytest.mark.parametrize(("code", "status"), KEYS + ADDRESS)
def test_wrong_settings_end_a_start_and_no_picture(code, status):
    assert type(storage_error(code, status, "", "bucket", Permanent)) is Permanent
    fault = storage_error(code, status, "", "bucket", StorageDown)
    assert type(fault) is StorageDown
    assert "FACTORY_S" in str(fault)


def test_a_request_that_is_wrong_stays_wrong():
    assert type(storage_error("KeyTooLongError", 400, "", "bucket", StorageDown)) is Permanent
