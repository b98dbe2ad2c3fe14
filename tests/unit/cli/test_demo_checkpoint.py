"""The demo checkpoint is copied once, replaced when the project ships another, and never half there."""

import pytest

from factory.cli import demo_checkpoint
from factory.cli.demo_checkpoint import drawing_engine, lay_demo_checkpoint
from factory.cli.exit_codes import Failed


@pytest.fixture
def shipped(tmp_path, monkeypatch):
    folder = tmp_path / "shipped"
    folder.mkdir()
    (folder / "model_index.json").write_text("{}")
    monkeypatch.setattr(demo_checkpoint, "SHIPPED", folder)
    monkeypatch.delenv("FACTORY_DEMO_ENGINE", raising=False)
    return folder


@pytest.fixture
def home(tmp_path):
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    return folder


def test_the_shipped_files_are_copied_once(shipped, home):
    assert lay_demo_checkpoint(home) == "zimage"
    before = (home / "demo" / "model_index.json").stat().st_ino
    assert lay_demo_checkpoint(home) == "zimage"
    assert (home / "demo" / "model_index.json").stat().st_ino == before
    assert [path.name for path in home.iterdir()] == ["demo"]


def test_other_files_take_the_place_of_the_former_ones(shipped, home):
    lay_demo_checkpoint(home)
    (home / "demo" / "stray.txt").write_text("from an older version")
    (shipped / "model_index.json").write_text('{"new": 1}')
    lay_demo_checkpoint(home)
    assert [path.name for path in (home / "demo").iterdir()] == ["model_index.json"]
    assert (home / "demo" / "model_index.json").read_text() == '{"new": 1}'


def test_the_simulated_engine_gets_its_card_and_gives_it_back(shipped, home, monkeypatch):
    monkeypatch.setenv("FACTORY_DEMO_ENGINE", "simulated")
    assert lay_demo_checkpoint(home) == "simulated"
    assert [path.name for path in (home / "demo").iterdir()] == ["card.json"]
    monkeypatch.delenv("FACTORY_DEMO_ENGINE")
    assert lay_demo_checkpoint(home) == "zimage"
    assert [path.name for path in (home / "demo").iterdir()] == ["model_index.json"]


def test_without_the_shipped_files_cards_are_drawn(monkeypatch, tmp_path):
    monkeypatch.setattr(demo_checkpoint, "SHIPPED", tmp_path / "nowhere")
    assert drawing_engine() == "simulated"


def test_a_folder_that_cannot_be_written_is_named(shipped, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match="file"):
        lay_demo_checkpoint(tmp_path / "file")


@pytest.mark.parametrize("left", [None, "code.bin"])
def test_what_a_kill_left_is_replaced(shipped, home, left):
    (home / "demo").mkdir()
    if left:
        (home / "demo" / left).write_bytes(b"half")
    (home / ".demo.new").mkdir()
    lay_demo_checkpoint(home)
    assert [path.name for path in (home / "demo").iterdir()] == ["model_index.json"]
    assert not (home / ".demo.new").exists()
