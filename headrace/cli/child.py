"""A part of the deployment that is kept alive: started, watched, started again."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import structlog

from headrace.cli.process import Process, Spawn, how_it_ended
from headrace.core.clock import Clock

log = structlog.get_logger()

FIRST_DELAY_S = 0.5
LONGEST_DELAY_S = 30.0
SETTLED_S = 5.0
"""From this age on, a child has to be well."""

STEADY_S = 60.0
"""A child that lived this long is healthy: its next restart waits only `FIRST_DELAY_S` again."""


class Child:
    """One process after another under one name.

    Each start gets a run name of its own (`worker-1-a3f9`): RQ refuses a worker whose name a
    killed one still holds. `command` makes the command line of a run; `on_death` is told its name
    and says whether something else was to blame: then the next start waits no longer than the last.
    `on_end` is told instead where the run was asked to end. A run that is no longer well is asked
    to end, and another one is started.
    """

    def __init__(
        self,
        name: str,
        command: Callable[[str], Sequence[str]],
        *,
        spawn: Spawn,
        clock: Clock,
        on_death: Callable[[str], bool] = lambda run_name: False,
        on_end: Callable[[str], None] = lambda run_name: None,
        is_well: Callable[[], bool] = lambda: True,
    ) -> None:
        self.name = name
        self.run_name = name
        self.last_exit: int | None = None
        self._command = command
        self._spawn = spawn
        self._clock = clock
        self._on_death = on_death
        self._on_end = on_end
        self._is_well = is_well
        self._process: Process | None = None
        self._started_at = self._restart_at = clock.now()
        self._delay_s = FIRST_DELAY_S
        self._is_blameless = False
        self._is_told_to_end = False

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.exit_code() is None

    @property
    def exit_code(self) -> int | None:
        """That of its latest run which has ended; None where none has."""
        ended = None if self._process is None else self._process.exit_code()
        return self.last_exit if ended is None else ended

    def start(self) -> None:
        self.run_name = f"{self.name}-{secrets.token_hex(2)}"
        self._started_at = self._clock.now()
        self._is_told_to_end = False
        self._process = self._spawn(self._command(self.run_name))
        log.info("started", child=self.name, pid=self._process.pid)

    def watch(self) -> None:
        """Notices a death, and starts the next run when its time has come."""
        if self._process is None:
            if self._clock.now() >= self._restart_at:
                self._restart()
        elif not self.is_running:
            self.bury()
            self._plan_restart(how_it_ended(self.last_exit or 0))
        elif not self._is_told_to_end and self._clock.now() - self._started_at >= SETTLED_S:
            self._check()

    def _check(self) -> None:
        if not self._is_well():
            log.error("no longer well", child=self.name)
            self.terminate()

    def terminate(self) -> None:
        self._is_told_to_end = True
        if self._process is not None and self.is_running:
            log.info("asked to end", child=self.name)
            self._process.terminate()

    def hurry(self) -> None:
        if self._process is not None and self.is_running:
            self._process.hurry()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def bury(self) -> None:
        """Takes leave of a process that has ended."""
        if self._process is None:
            return
        self.last_exit = self._process.exit_code()
        # What it left behind (gunicorn's workers, a server's fork) would be in its successor's way.
        self._process.kill()
        self._process = None
        if self._is_told_to_end:
            self._on_end(self.run_name)
        else:
            self._is_blameless = self._on_death(self.run_name)

    def _restart(self) -> None:
        try:
            self.start()
        except OSError as error:
            self._plan_restart(f"did not start: {error}")

    def _plan_restart(self, reason: str) -> None:
        now = self._clock.now()
        if self._is_blameless or now - self._started_at >= STEADY_S:
            self._delay_s = FIRST_DELAY_S
        self._restart_at = now + self._delay_s
        log.warning("died", child=self.name, how=reason, starts_again_in_s=self._delay_s)
        self._delay_s = min(2 * self._delay_s, LONGEST_DELAY_S)
