"""`python -m tests.chaos.up_child up …`: the real `headrace up`, on workers of tests.

Its embedded Redis listens on the port `CHAOS_REDIS_PORT` as well.
"""

from __future__ import annotations

import os
import sys
from unittest.mock import patch

from headrace.cli import deployment
from headrace.cli.embedded_redis import EmbeddedRedis
from headrace.cli.main import main as headrace

PORT = "CHAOS_REDIS_PORT"
RUN_WORKER = (sys.executable, "-m", "tests.chaos.worker", "--name")
_command = EmbeddedRedis.command


def command(server: EmbeddedRedis) -> list[str]:
    return [*_command(server), "--port", os.environ[PORT], "--bind", "127.0.0.1"]


def main() -> None:
    with (
        patch.object(deployment, "PREPARE_MODEL", (sys.executable, "-c", "")),
        patch.object(deployment, "RUN_WORKER", RUN_WORKER),
        patch.object(EmbeddedRedis, "command", command),
    ):
        headrace()


if __name__ == "__main__":
    main()
