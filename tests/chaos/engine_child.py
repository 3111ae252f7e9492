"""`python -m tests.chaos.engine_child`: the real engine process, on a card and an engine of tests.

`CHAOS_MODEL` gives its card another name.
"""

from __future__ import annotations

import os
from dataclasses import replace
from unittest.mock import patch

import worker.engine_process.__main__ as real
from batcher.model_store import PreparedModel
from headrace.core.settings import Settings
from tests.chaos.engine import FaultyEngine
from tests.fakes import CARD
from worker import loading

MODEL = "CHAOS_MODEL"


def load(settings: Settings, worker: str) -> tuple[PreparedModel, FaultyEngine]:
    card = replace(CARD, name=os.environ.get(MODEL, CARD.name))
    return PreparedModel("simulated", settings.state_dir, card), FaultyEngine(settings, worker)


def main() -> None:
    with patch.object(loading, "load", load):
        real.main()


if __name__ == "__main__":
    main()
