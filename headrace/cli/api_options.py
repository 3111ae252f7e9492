"""`--url` and `--api-key`, as every command has them that asks a Headrace API."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from headrace.cli.url_option import url_option


def api_key_option() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option(
        "--api-key",
        envvar="HEADRACE_API_KEY",
        show_envvar=True,
        help="Where the API wants one: see `headrace keys`.",
    )


def api_options() -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """The command gets its `client`, an `ApiClient`."""

    def add(function: Callable[..., Any]) -> Callable[..., Any]:
        @url_option()
        @api_key_option()
        @wraps(function)
        def command(*arguments: Any, url: str, api_key: str | None, **options: Any) -> Any:
            from headrace.cli.api_client import ApiClient

            return function(*arguments, client=ApiClient(url, api_key), **options)

        return command

    return add
