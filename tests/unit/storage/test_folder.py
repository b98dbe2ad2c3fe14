"""What only a folder can get wrong: links, modes, leftovers, disks."""

import hashlib
import os
import subprocess
import sys
import textwrap
import time

import pytest

from factory.errors import Conflict, Forbidden, NotFound, Permanent
from factory.storage.folder import FolderStorage
from factory.storage.links import sign_link, verify_link


def put(storage, key, content=b"picture"):
    storage.put(key, content, media_type="image/png", sha256=hashlib.sha256(content).hexdigest(), filename="x.png")


def test_files_and_folders_are_readable_whatever_the_umask(tmp_path):
    before = os.umask(0o077)
    try:
        put(FolderStorage(tmp_path / "root"), "a/b/x.png")
    finally:
        os.umask(before)
    assert (tmp_path / "root/a/b/x.png").stat().st_mode & 0o777 == 0o644
    for folder in ("root", "root/a", "root/a/b"):
        assert (tmp_path / folder).stat().st_mode & 0o777 == 0o755, folder


def test_no_link_leads_outside(tmp_path):
    storage = FolderStorage(tmp_path / "root")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.png").write_bytes(b"secret")
    (storage.root / "linked").symlink_to(outside)
    (storage.root / "file.png").symlink_to(outside / "secret.png")
    for key in ("linked/secret.png", "file.png"):
        with pytest.raises(NotFound):
            storage.get(key)
        assert storage.stat(key) is None
        storage.delete(key)
        with pytest.raises((Conflict, NotFound)):
            put(storage, key)
    with pytest.raises(Conflict):
        put(storage, "linked/new.png")
    assert list(storage.list()) == []
    assert {path.name: path.read_bytes() for path in outside.iterdir()} == {"secret.png": b"secret"}


def test_a_key_below_a_file_is_a_conflict(tmp_path):
    storage = FolderStorage(tmp_path)
    put(storage, "a")
    with pytest.raises(Conflict, match="in its place"):
        put(storage, "a/b")
    with pytest.raises(NotFound):
        storage.get("a/b")


def test_a_killed_writer_leaves_nothing_that_is_seen_and_the_next_start_sweeps(tmp_path):
    storage = FolderStorage(tmp_path)
    put(storage, "a/x.png")
    left = tmp_path / ".incoming" / "killed"
    left.write_bytes(b"half")
    assert [found.key for found in storage.list()] == ["a/x.png"]
    FolderStorage(tmp_path)
    assert left.exists(), "a writer may still be at it"
    os.utime(left, (0, 0))
    FolderStorage(tmp_path)
    assert not left.exists()
    assert [found.key for found in storage.list()] == ["a/x.png"]


def test_what_the_disk_damages_shows_in_the_digest(tmp_path):
    storage = FolderStorage(tmp_path)
    put(storage, "x.png", b"good")
    (tmp_path / "x.png").write_bytes(b"evil")
    known = storage.stat("x.png")
    assert known
    assert known.sha256 == hashlib.sha256(b"evil").hexdigest()
    with pytest.raises(Conflict):
        put(storage, "x.png", b"good")


def test_a_full_disk_is_storage_down_and_leaves_nothing(tmp_path):
    program = """
        import resource, signal, sys
        from pathlib import Path
        from factory.errors import StorageDown
        from factory.storage.folder import FolderStorage
        from tests.unit.storage.test_folder import put
        storage = FolderStorage(Path(sys.argv[1]))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (2048, 2048))
        for use in (lambda: put(storage, "a/x.png", bytes(10_000)), storage.check):
            try:
                use()
            except StorageDown as error:
                print("down", "free or mount" in str(error))
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout == "down True\ndown True\n", done.stderr
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_links_want_a_real_secret(tmp_path):
    with pytest.raises(Permanent, match="FACTORY_LINK_SECRET"):
        FolderStorage(tmp_path, link_secret="short").url("x.png", seconds=60, filename="x.png")
    with pytest.raises(Forbidden):
        verify_link("", "x.png", expires="99999999999", name="x.png", signature="")


def test_a_link_of_another_secret_is_refused():
    link = sign_link("", "a" * 32, "x.png", seconds=60, filename="x.png")
    expires, signature = link.split("expires=")[1].split("&")[0], link.split("signature=")[1]
    verify_link("a" * 32, "x.png", expires=expires, name="x.png", signature=signature)
    for secret, name, sign in (("b" * 32, "x.png", signature), ("a" * 32, "y.png", signature), ("a" * 32, "x.png", "签名")):
        with pytest.raises(Forbidden):
            verify_link(secret, "x.png", expires=expires, name=name, signature=sign)


def test_a_writer_killed_at_any_moment_shows_whole_files_only(tmp_path):
    program = """
        import sys
        from pathlib import Path
        from factory.storage.folder import FolderStorage
        from tests.unit.storage.test_folder import put
        storage = FolderStorage(Path(sys.argv[1]))
        if sys.argv[2] != "0":
            print("at work", flush=True)
        for number in range(10_000):
            put(storage, f"{sys.argv[2]}/{number}.png", bytes([number % 256]) * 3_000_000)
            if (sys.argv[2], number) == ("0", 0):
                print("one is there, however slow the disk", flush=True)
    """
    for run in range(6):
        writer = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program), str(tmp_path), str(run)], stdout=subprocess.PIPE)
        with writer:
            assert writer.stdout
            writer.stdout.readline()
            time.sleep(0.03 + 0.017 * run)
            writer.kill()
    storage = FolderStorage(tmp_path)
    found = list(storage.list())
    assert found
    for each in found:
        number = int(each.key.split("/")[1].removesuffix(".png"))
        assert storage.get(each.key) == bytes([number % 256]) * 3_000_000
    storage.sweep(older_than_seconds=-1)
    assert len(list(tmp_path.rglob("*.png"))) == len([path for path in tmp_path.rglob("*") if path.is_file()])
