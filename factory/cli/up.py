"""factory up: the whole factory on this machine, until Ctrl-C."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Annotated, Any

import typer

from factory.cli.home import home
from factory.cli.output import Json, console, print_json


def up(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the API; 0 = a free one, the same again next time.")] = 0,
    *,
    as_json: Json = False,
) -> None:
    """Start everything here (servers, API, workers, Flower) and stay; Ctrl-C ends it in order, and its data is kept."""
    from factory.cli.running_stack import RunningStack
    from factory.cli.signals import ToldToStop, told_to_stop

    say = narrator()
    began = time.monotonic()
    with told_to_stop():
        running = RunningStack(home(), say=say, port=port)
        try:
            say("starting Valkey, Postgres, API, workers, beat and Flower …")
            running.start()
            facts = running.facts()
            print_json(facts) if as_json else show(facts, seconds=time.monotonic() - began)
            while True:
                running.stack.tend()
                time.sleep(0.25)
        except ToldToStop as told:
            say(f"{told}: stopping in order …")
        finally:
            running.stop()
    say(f"stopped; the data stays in {running.home.folder}")


def narrator() -> Callable[[str], None]:
    """One dim line with the time on stderr, so that stdout stays for results."""
    from rich.text import Text

    out = console(stderr=True)

    def say(words: str) -> None:
        out.print(Text.assemble((time.strftime("%H:%M:%S "), "dim"), words))

    return say


def show(facts: dict[str, Any], *, seconds: float) -> None:
    """The panel that tells how to use it."""
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold")
    grid.add_column(overflow="fold")
    for name, value in (
        ("API", f"{facts['url']}  (documentation: {facts['url']}/docs)"),
        ("API key", f"{facts['key_file']}  (tenant demo)"),
        ("Flower", f"{facts['flower_url']}  user {facts['flower_user']}  password {facts['flower_password']}"),
        ("Pictures", facts["pictures"]),
        ("Logs", facts["logs"]),
        ("Engine", ENGINE_WORDS[facts["engine"]]),
        ("Try", 'factory submit --prompt "a red mug on white, 白底红色马克杯" --wait'),
    ):
        grid.add_row(name, Text(value))
    console().print(Panel(grid, title=f"The factory runs (started in {seconds:.1f} s)", subtitle="Ctrl-C stops it", expand=False))


ENGINE_WORDS = {
    "zimage": "zimage, with a small demo checkpoint of random weights: the pictures are noise",
    "simulated": "simulated: it draws cards with the prompt on them, because torch is not installed or not wanted",
}
