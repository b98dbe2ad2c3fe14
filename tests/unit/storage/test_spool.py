"""The spool: bounded, whole or not there, and itself again after a crash."""

import hashlib
import os
import subprocess
import sys
import textwrap
import time

import pytest

from factory import metrics
from factory.errors import Invalid, StorageDown
from factory.storage.spool import Spool, SpoolItem


def item(number=1, content=b"a picture", **changes):
    facts = {"prompt": "双11 大促", "seconds": 0.5}
    fields = {
        "job_id": f"job-{number}",
        "attempt": 1,
        "key": f"acme/x/x_{number}.png",
        "filename": "x.png",
        "media_type": "image/png",
        "facts": facts,
    }
    return SpoolItem(**{**fields, "content": content, "sha256": hashlib.sha256(content).hexdigest(), **changes})


def test_items_come_back_whole_and_in_order_after_a_restart(tmp_path):
    spool = Spool(tmp_path, 10)
    items = [item(number, os.urandom(5000) + b"\n") for number in (3, 1, 2)]
    for each in items:
        assert spool.put(each)
        time.sleep(0.02)  # the clock of a file system has steps
    assert list(Spool(tmp_path, 10).items()) == items
    for each in items:
        spool.remove(each)
        spool.remove(each)
    assert list(spool.items()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_full_spool_takes_nothing_until_there_is_room(tmp_path):
    spool = Spool(tmp_path, 2)
    assert spool.put(item(1))
    assert spool.put(item(2))
    assert not spool.put(item(3))
    assert spool.put(item(2))
    assert len(Spool(tmp_path, 2)) == len(spool) == 2
    assert metrics.spooled_pictures._value.get() == 2
    spool.remove(item(1))
    assert spool.put(item(3))
    assert [each.job_id for each in spool.items()] == ["job-2", "job-3"]


@pytest.mark.parametrize("keep", [0, 1, 40, -1])
def test_a_torn_file_is_dropped_and_frees_its_place(tmp_path, keep):
    spool = Spool(tmp_path, 2)
    spool.put(item(1))
    spool.put(item(2))
    torn = tmp_path / "job-1.1.spooled"
    torn.write_bytes(torn.read_bytes()[:keep])
    spool = Spool(tmp_path, 2)
    assert [each.job_id for each in spool.items()] == ["job-2"]
    assert not torn.exists()
    assert spool.put(item(3))


def test_a_file_with_a_strange_head_is_dropped(tmp_path):
    (tmp_path / "job-1.1.spooled").write_bytes(b"[1]\nx")
    (tmp_path / "job-2.1.spooled").write_bytes(b"\xff\xfe\nx")
    assert list(Spool(tmp_path, 2).items()) == []
    assert list(tmp_path.iterdir()) == []


def test_a_start_removes_unfinished_and_stale_items_and_nothing_else(tmp_path):
    spool = Spool(tmp_path, 5)
    spool.put(item(1))
    spool.put(item(2))
    os.utime(tmp_path / "job-1.1.spooled", (0, 0))
    (tmp_path / "0123.part").write_bytes(b"half")
    (tmp_path / "README").write_text("mine")
    assert [each.job_id for each in Spool(tmp_path, 5).items()] == ["job-2"]
    assert {path.name for path in tmp_path.iterdir()} == {"job-2.1.spooled", "README"}


def test_a_disk_that_is_full_is_said_and_leaves_nothing(tmp_path):
    """A limit on the size of a file is the full disk that every user can have."""
    program = """
        import resource, signal, sys
        from pathlib import Path
        from factory.errors import StorageDown
        from factory.storage.spool import Spool
        from tests.unit.storage.test_spool import item
        spool = Spool(Path(sys.argv[1]), 2)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            spool.put(item(1, bytes(10_000)))
        except StorageDown as error:
            assert "free its disk" in str(error), error
            assert len(spool) == 0
            assert spool.put(item(2))
            print("said")
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], capture_output=True, text=True, check=False)
    assert done.stdout == "said\n", done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["job-2.1.spooled"]


def test_a_folder_that_is_gone_is_said(tmp_path):
    spool = Spool(tmp_path / "spool", 2)
    (tmp_path / "spool").rmdir()
    with pytest.raises(StorageDown, match="spool"):
        spool.put(item(1))
    assert len(spool) == 0


@pytest.mark.parametrize("job_id", ["", "../x", "a/b", "a.b", "a" * 65])
def test_a_hostile_id_names_no_file(tmp_path, job_id):
    with pytest.raises(Invalid, match="job_id"):
        Spool(tmp_path, 2).put(item(job_id=job_id))
