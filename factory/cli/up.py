"""factory up: the whole factory on this machine, until Ctrl-C."""

from __future__ import annotations

import time
from typing import Annotated, Any

import typer

from factory.cli.home import home
from factory.cli.output import Json, print_json


def up(
    port: Annotated[int, typer.Option(min=0, max=65_535, help="Port of the API; 0 = a free one, the same again next time.")] = 0,
    *,
    as_json: Json = False,
) -> None:
    """Start everything here (servers, API, workers, Flower) and stay; Ctrl-C ends it in order, and its data is kept."""
    from factory.cli.narrator import narrator
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
            print_json(facts) if as_json else _show(facts, seconds=time.monotonic() - began)
            while True:
                running.stack.tend()
                time.sleep(0.25)
        except ToldToStop as told:
            say(f"{told}: stopping in order …")
        finally:
            running.stop()
    say(f"stopped; the data stays in {running.home.folder}")


def _show(facts: dict[str, Any], *, seconds: float) -> None:
    from factory.cli.addresses import ENGINE_WORDS, addresses, command_here, near
    from factory.cli.show_panel import show_panel

    show_panel(
        f"The factory runs (started in {seconds:.1f} s)",
        [
            *addresses(facts),
            ("Pictures", near(facts["pictures"])),
            ("Logs", near(facts["logs"])),
            ("Engine", ENGINE_WORDS[facts["engine"]]),
        ],
        subtitle="Ctrl-C stops it",
    )
    typer.echo(f'Try, in another terminal:\n{command_here()} submit --prompt "a red mug on white, 白底红色马克杯" --wait')
