"""The letters of what the factory draws itself: a path, so that the ground loads no Pillow."""

from pathlib import Path

SANS_PATH = Path(__file__).parent / "NotoSansCJKsc-Regular-common.otf"
"""ASCII, Latin-1, Chinese punctuation and the commonest simplified characters; it draws its box (.notdef) for any other."""
