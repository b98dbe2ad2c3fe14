"""The demo's LoRAs are copied once, replaced when the project ships others, and never half there."""

import pytest

from factory.cli.demo_loras import SHIPPED, lay_demo_loras
from factory.cli.exit_codes import Failed
from factory.workers.loras import WEIGHTS, measure_lora


def test_both_styles_are_laid_where_workers_look(tmp_path):
    assert lay_demo_loras(tmp_path / "loras") == ["night", "sketch"]
    for name in ("night", "sketch"):
        assert measure_lora(tmp_path / "loras" / name) == measure_lora(SHIPPED / name)
        assert [file.name for file in (tmp_path / "loras" / name).iterdir()] == [WEIGHTS]


def test_the_same_bytes_are_left_alone_and_others_replaced(tmp_path):
    lay_demo_loras(tmp_path)
    file = tmp_path / "night" / WEIGHTS
    before = file.stat().st_ino
    lay_demo_loras(tmp_path)
    assert file.stat().st_ino == before
    file.write_bytes(b"half of")
    lay_demo_loras(tmp_path)
    assert measure_lora(tmp_path / "night") == measure_lora(SHIPPED / "night")


def test_a_folder_that_cannot_be_written_is_said_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match="could not be copied"):
        lay_demo_loras(tmp_path / "file")
