"""narrator: what a long command does, line by line on stderr, so that stdout stays for results."""

from __future__ import annotations

import time
from collections.abc import Callable

from factory.cli.output import console


def narrator() -> Callable[[str], None]:
    """A function that prints one line with the time before it."""
    from rich.text import Text

    out = console(stderr=True)

    def say(words: str) -> None:
        out.print(Text.assemble((time.strftime("%H:%M:%S "), "dim"), words))

    return say
