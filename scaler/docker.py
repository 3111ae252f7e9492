"""The commands of Docker and Compose, as a person would type them."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Protocol

from headrace.core.errors import Unavailable

TIMEOUT_S = 60.0
"""Above the time that a container is given to end."""


class Docker(Protocol):
    def run(self, *command: str) -> str:
        """Runs `command`; returns what it printed.

        Raises `Unavailable` where it fails, takes too long or is not there.
        """


class DockerCommands:
    """On this machine, in the present folder, with the present environment."""

    def run(self, *command: str) -> str:
        try:
            # In a session of its own: Ctrl-C is for the scaler, and must not cut a change in half.
            run = subprocess.run(
                command,
                capture_output=True,
                text=True,
                timeout=TIMEOUT_S,
                check=True,
                start_new_session=True,
            )
        except subprocess.CalledProcessError as error:
            raise Unavailable(f"`{_short(command)}` failed: {_last_line(error.stderr)}") from error
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"`{_short(command)}` took longer than {TIMEOUT_S:.0f} s") from error
        except OSError as error:
            raise Unavailable(f"`{_short(command)}` cannot be run: {error}") from error
        return run.stdout


def _short(command: Sequence[str]) -> str:
    return " ".join(command[:2])


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2]
