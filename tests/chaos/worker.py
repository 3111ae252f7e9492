"""`python -m tests.chaos.worker --name …`: the real worker, on a card and an engine of tests.

Its log goes to `<name>.log` in the folder `CHAOS_LOGS`. `CHAOS_MODEL` gives its card another name.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import worker.__main__ as real
from batcher.model_store import PreparedModel
from tests.chaos.engine import FaultyEngine
from tests.fakes import CARD

LOGS, MODEL = "CHAOS_LOGS", "CHAOS_MODEL"


def main() -> None:
    name = sys.argv[sys.argv.index("--name") + 1]
    _log_to(Path(os.environ[LOGS]) / f"{name}.log")
    card = replace(CARD, name=os.environ.get(MODEL, CARD.name))
    with patch.multiple(
        real,
        prepare_model=lambda settings, progress: PreparedModel(
            "simulated", settings.state_dir, card
        ),
        load_engine=lambda settings, model, number: FaultyEngine(settings, name),
    ):
        real.main()


def _log_to(path: Path) -> None:
    """Descriptors, not `sys.stderr`: the last words of a dying process count too."""
    with path.open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())


if __name__ == "__main__":
    main()
