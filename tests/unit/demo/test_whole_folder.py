"""A result is there whole or not at all, and everybody may read it."""

import pytest

from demo.training.fingerprint import fingerprint
from demo.training.whole_folder import whole_folder


def stopped_half_way(folder):
    (folder / "config").write_text("written first")
    raise KeyboardInterrupt


def test_what_was_there_stays_until_the_new_one_is_whole(tmp_path):
    target = tmp_path / "result"
    for content in ("old", "new"):
        with whole_folder(target) as fresh:
            (fresh / "part").mkdir()
            (fresh / "part" / "weights").write_text(content)
            (fresh / "part" / "weights").chmod(0o600)
    assert (target / "part" / "weights").read_text() == "new"
    assert (target / "part" / "weights").stat().st_mode & 0o777 == 0o644
    with pytest.raises(KeyboardInterrupt), whole_folder(target) as fresh:
        stopped_half_way(fresh)
    assert [path.name for path in target.iterdir()] == ["part"]
    with whole_folder(target) as fresh:
        assert list(fresh.iterdir()) == []


def test_a_fingerprint_follows_names_and_contents_of_the_files_asked_for(tmp_path):
    (tmp_path / "a.py").write_text("1")
    (tmp_path / "notes.txt").write_text("1")
    first = fingerprint(tmp_path, "*.py")
    (tmp_path / "notes.txt").write_text("2")
    assert fingerprint(tmp_path, "*.py") == first
    (tmp_path / "a.py").write_text("2")
    second = fingerprint(tmp_path, "*.py")
    (tmp_path / "a.py").rename(tmp_path / "b.py")
    assert len({first, second, fingerprint(tmp_path, "*.py")}) == 3
