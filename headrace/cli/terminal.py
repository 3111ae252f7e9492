"""What is written to a terminal, and to what stands in for one."""

from __future__ import annotations

import json
import sys
from typing import Any
from unicodedata import category

import click
from rich.console import Console

PIPED_COLUMNS = 240


def console() -> Console:
    """For tables: as wide as the terminal, or wide enough for `grep` behind a pipe."""
    return Console(width=None if sys.stdout.isatty() else PIPED_COLUMNS, highlight=False)


def show_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def harmless(text: str) -> str:
    """The text without control characters: what a model writes must not steer a terminal."""
    return "".join(each for each in text if each in "\n\t" or category(each) != "Cc")
