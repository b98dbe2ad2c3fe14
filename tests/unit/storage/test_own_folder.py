"""A spool folder for each process, and none of those that are gone."""

import subprocess
import sys

from factory.storage.own_folder import own_folder

HOLD = "import sys; from pathlib import Path; from factory.storage.own_folder import own_folder; own_folder(Path(sys.argv[1]), sys.argv[2]); print('held', flush=True); sys.stdin.read()"


def hold(root, name):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(root), name], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    (root / name / "a.spooled").touch()
    return process


def test_the_folders_of_processes_that_are_gone_are_deleted_and_no_others(tmp_path):
    root = tmp_path / "spool"
    killed, living = hold(root, "host-1"), hold(root, "host-2")
    killed.kill()
    killed.wait()
    (root / "older release").mkdir()
    (root / "file").touch()
    try:
        assert own_folder(root, "host-3") == root / "host-3"
        assert {path.name for path in root.iterdir()} == {"host-2", "host-3", "file"}
        assert (root / "host-2" / "a.spooled").exists()
    finally:
        living.communicate("")


def test_a_process_that_asks_twice_keeps_its_folder(tmp_path):
    (own_folder(tmp_path, "host-4") / "a.spooled").touch()
    assert (own_folder(tmp_path, "host-4") / "a.spooled").exists()
    own_folder(tmp_path, "host-5")
    assert (tmp_path / "host-4").exists()
