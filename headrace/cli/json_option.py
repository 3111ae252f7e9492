"""`--json`, as every command has it that shows an answer of the API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])


def json_option() -> Callable[[Function], Function]:
    return click.option("--json", "as_json", is_flag=True, help="Print the API's whole answer.")
