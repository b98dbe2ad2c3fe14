"""The shipped font and the script that makes it."""

import subprocess
import sys
from pathlib import Path

import pytest
import subset_font
from fontTools.ttLib import TTFont

from factory.fonts import SANS_PATH


def test_the_font_is_small_and_its_licence_lies_beside_it():
    assert SANS_PATH.stat().st_size <= 1_300_000
    assert "SIL OPEN FONT LICENSE" in (SANS_PATH.parent / "OFL.txt").read_text()
    assert subset_font.TARGET.resolve() == SANS_PATH.resolve()


def test_the_font_has_what_the_script_asks_for():
    """Fails when the demo says a character that it lacks: run the script again."""
    has = set(TTFont(SANS_PATH).getBestCmap())
    assert {chr(point) for point in subset_font.characters() - has} == set()
    assert set("“人工智能生成”，￥９９（①）ñ…") <= {chr(point) for point in has}
    assert sum(0x4E00 <= point <= 0x9FFF for point in has) > 3755


@pytest.mark.drill
def test_the_script_makes_the_font_that_is_shipped(tmp_path: Path):
    """A subset of the subset is the whole: what the script drops is dropped already."""
    subset_font.subset(SANS_PATH, tmp_path / "again.otf")
    again, shipped = TTFont(tmp_path / "again.otf"), TTFont(SANS_PATH)
    assert again.getBestCmap() == shipped.getBestCmap()
    assert sorted(again.keys()) == sorted(shipped.keys())


def test_the_ground_loads_no_pillow():
    code = "import sys, factory.fonts; assert factory.fonts.SANS_PATH.is_file(); assert 'PIL' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
