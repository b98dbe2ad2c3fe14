"""--change NAME=VALUE: what a shell sends becomes what the API reads."""

from __future__ import annotations

import pytest

from factory.cli.batches import changes
from factory.cli.exit_codes import Usage


def test_numbers_texts_and_holes():
    pairs = [
        "seed=7",
        "prompt=红杯",
        "prompt=12",
        "size=640x512",
        "vars.colour=red",
        "vars.count=3",
        "negative_prompt=null",
        "label_profile=eu",
    ]
    assert changes(pairs) == {
        "seed": 7,
        "prompt": "12",
        "size": "640x512",
        "vars": {"colour": "red", "count": 3},
        "negative_prompt": None,
        "label_profile": "eu",
    }
    assert changes(["prompt=a=b"]) == {"prompt": "a=b"}


@pytest.mark.parametrize("pair", ["seed", "=7", ""])
def test_what_is_no_pair_is_said_so(pair):
    with pytest.raises(Usage, match="NAME=VALUE"):
        changes([pair])
