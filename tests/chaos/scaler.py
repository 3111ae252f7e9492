"""A scaler: the real one, with a log of its own."""

from __future__ import annotations

import os
import secrets
import signal
import sys
from pathlib import Path

from headrace.core.settings import Settings
from tests.chaos.fleet import environment_of, log_lines
from tests.chaos.process import TimedProcess

RUN_SCALER = (sys.executable, "-P", "-m", "scaler")


class ScalerProcess:
    """Runs until it is killed, or reaches an armed failpoint."""

    def __init__(self, folder: Path, settings: Settings, failpoints: str = "") -> None:
        self._log = folder / f"scaler-{secrets.token_hex(2)}.log"
        environment = environment_of(folder, settings) | {"HEADRACE_FAILPOINTS": failpoints}
        with self._log.open("wb") as output:
            self._process = TimedProcess(RUN_SCALER, environment, output)

    @property
    def is_running(self) -> bool:
        return self._process.exit_code() is None

    @property
    def ended_at(self) -> float:
        """Seconds since the epoch; waits for the end."""
        return self._process.ended_at

    @property
    def fences(self) -> list[int]:
        """The fencing numbers that it led with, in their order."""
        return self._told("this scaler leads")

    @property
    def refused(self) -> list[int]:
        """Those of its orders that came too late."""
        return self._told("refused: another scaler leads by now")

    def send(self, number: signal.Signals) -> None:
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        self._process.kill()

    def _told(self, message: str) -> list[int]:
        return [line["fence"] for line in log_lines(self._log) if line["message"] == message]
