"""`python -m tests.chaos.worker --name …`: the real worker, on a card and an engine of tests.

Its log goes to `<name>.log` in the folder `CHAOS_LOGS`.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from unittest.mock import patch

import worker.__main__ as real
from batcher.model_store import PreparedModel
from tests.chaos.engine import FaultyEngine
from tests.fakes import CARD

LOGS = "CHAOS_LOGS"


def main() -> None:
    name = sys.argv[sys.argv.index("--name") + 1]
    _log_to(Path(os.environ[LOGS]) / f"{name}.log")
    with patch.multiple(
        real,
        prepare_model=lambda settings, progress: PreparedModel(
            "simulated", settings.state_dir, CARD
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
