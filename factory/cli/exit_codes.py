"""What a command's exit code means, and how an error becomes one readable line."""

from __future__ import annotations

from typing import Any

import typer
from typer.core import TyperGroup

from factory.errors import DatabaseDown, FactoryError, StorageDown

FAILED, USAGE, NOT_REACHABLE = 1, 2, 3


class Failed(Exception):
    """The command did not succeed; the message says why and what helps."""

    code = FAILED


class Usage(Failed):
    """The command was called in a way that cannot work."""

    code = USAGE


class Denied(Failed):
    """The API said no; `problem` is its problem+json."""

    def __init__(self, message: str, problem: dict[str, Any]) -> None:
        super().__init__(message)
        self.problem = problem


class NotReachable(Failed):
    """The factory, its database or its storage did not answer."""

    code = NOT_REACHABLE


class OneLineErrors(TyperGroup):
    """A group whose commands end with one line on stderr and a documented exit code, never with a traceback for what we foresee."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except Failed as failure:
            raise _end(str(failure), failure.code) from failure
        except (DatabaseDown, StorageDown) as down:
            raise _end(str(down), NOT_REACHABLE) from down
        except FactoryError as error:
            raise _end(str(error), FAILED) from error


def _end(message: str, code: int) -> typer.Exit:
    typer.secho(f"factory: {message}", err=True, fg=typer.colors.RED)
    return typer.Exit(code)
