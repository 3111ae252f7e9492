"""A file that a command is to write at its end."""

from __future__ import annotations

import os
from pathlib import Path

import click


def require_writable(path: Path | None) -> None:
    """Raises `click.UsageError`: better before the work than after it."""
    if path and (path.is_dir() or not os.access(path.absolute().parent, os.W_OK)):
        raise click.UsageError(f"{path}: no file can be written there")
