"""`python -m tests.chaos.worker --name …`: the real worker, on an engine of tests.

Its log, and that of its engine process, goes to `<name>.log` in the folder `CHAOS_LOGS`, where one
is named.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path
from unittest.mock import patch

import worker.__main__ as real
from worker.engine_process.child import launcher

LOGS = "CHAOS_LOGS"
ENGINE = (sys.executable, "-m", "tests.chaos.engine_child")


def main() -> None:
    name = sys.argv[sys.argv.index("--name") + 1]
    if LOGS in os.environ:
        _log_to(Path(os.environ[LOGS]) / f"{name}.log")
    with patch.object(real, "launcher", partial(launcher, command=ENGINE)):
        real.main()


def _log_to(path: Path) -> None:
    """Descriptors, not `sys.stderr`: the last words of a dying process count too."""
    with path.open("ab") as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())


if __name__ == "__main__":
    main()
