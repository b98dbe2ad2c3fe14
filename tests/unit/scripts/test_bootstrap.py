"""The environment of a checkout is its own."""

from __future__ import annotations

from pathlib import Path

import bootstrap
import pytest


def test_an_environment_behind_a_link_is_not_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs, link = tmp_path / "theirs", tmp_path / ".venv"
    theirs.mkdir()
    (theirs / "kept").touch()
    link.symlink_to(theirs)
    monkeypatch.setattr(bootstrap, "VENV", link)
    monkeypatch.setattr(bootstrap, "PYTHON", link / "bin" / "python")
    monkeypatch.setattr(bootstrap, "STAMP", link / "factory-stamp.json")
    with pytest.raises(bootstrap.SetupError, match="Remove the link"):
        bootstrap.make_venv({})
    assert (theirs / "kept").exists()
