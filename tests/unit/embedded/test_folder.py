"""A server's folder: private, one server at a time, secrets that stay."""

import os
import stat

import pytest

from factory.embedded.folder import FolderInUse, lock_folder, private_folder, secret


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_folder_and_secrets_are_for_us_alone(tmp_path):
    folder = private_folder(tmp_path / "new" / "one")
    secret(folder, "database")
    assert mode(folder) == 0o700
    assert mode(folder / "database.secret") == 0o600


def test_a_secret_stays_and_differs_from_folder_to_folder(tmp_path):
    one, two = private_folder(tmp_path / "one"), private_folder(tmp_path / "two")
    assert secret(one, "database") == secret(one, "database")
    assert secret(one, "database") != secret(one, "queue")
    assert secret(one, "database") != secret(two, "database")
    assert len(secret(one, "database")) >= 32


def test_a_locked_folder_is_refused_by_name_until_the_lock_is_gone(tmp_path):
    lock = lock_folder(tmp_path, seconds=0)
    with pytest.raises(FolderInUse, match=str(tmp_path)):
        lock_folder(tmp_path, seconds=0.1)
    os.close(lock)
    os.close(lock_folder(tmp_path, seconds=0))
