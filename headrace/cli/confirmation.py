"""The question before what cannot be undone."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def yes_option() -> Callable[[Function], Function]:
    return click.option(
        "--yes", "-y", is_flag=True, help="Do not ask. Needed where there is no terminal."
    )


def confirm(question: str, yes: bool) -> None:
    """Asks whoever sits at a terminal; without a yes the command ends here."""
    if yes:
        return
    if not is_terminal():
        raise click.UsageError(f"{question} There is no terminal to ask at: add --yes.")
    click.confirm(question, abort=True, err=True)


def is_terminal() -> bool:
    return sys.stdin.isatty()


def count_of(ids: tuple[str, ...], one: str, many: str) -> str:
    """What a question calls them: `job a1`, `3 jobs`."""
    return f"{one} {ids[0]}" if len(ids) == 1 else f"{len(ids)} {many}"
