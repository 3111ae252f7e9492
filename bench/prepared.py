"""Models that were prepared before: no benchmark has to do it again."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_models(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", type=Path, help="folder of prepared models")


def link_models(state: Path, models: Path | None) -> None:
    """Into a state folder that has none; `models` None: they are prepared there."""
    if models is not None:
        (state / "models").symlink_to(models.absolute())
