"""`--url`, as every command has it that speaks to an API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

DEFAULT_URL = "http://127.0.0.1:8000"


def url_option(help: str = "The API to ask.") -> Callable[[Function], Function]:
    return click.option(
        "--url",
        envvar="HEADRACE_URL",
        default=DEFAULT_URL,
        show_default=True,
        show_envvar=True,
        help=help,
    )
