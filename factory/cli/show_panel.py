"""A titled box of names and values, for results that people keep on the screen."""

from __future__ import annotations

from collections.abc import Iterable

from factory.cli.output import console


def show_panel(title: str, rows: Iterable[tuple[str, str]], *, subtitle: str = "") -> None:
    """Values are shown as text, folded and never cut."""
    from rich.panel import Panel
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows:
        grid.add_row(name, Text(value))
    console().print(Panel(grid, title=title, subtitle=subtitle or None, expand=False))
