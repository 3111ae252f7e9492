"""Queue and workers of the server while a level runs."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from headrace.core.errors import Unavailable
from headrace.core.step_sums import NAMES
from headrace.loadtest import fleet_watch
from headrace.loadtest.fleet_watch import FleetWatch, Watched

FLEET: dict[str, Any] = {
    "queue": {"waiting": 3, "running": 2, "oldest_wait_s": 0.5},
    "workers": [{"slots": 8, "engine": "SimulatedEngine"}],
    "starting": 1,
    "cold_starts_s": [2.5],
}


class Server:
    """Answers with these, each a number of steps or None where it does not answer."""

    def __init__(self, *steps: int | None) -> None:
        self._steps = list(steps)
        self.asked = 0

    async def get(self, path: str) -> Any:
        self.asked += 1
        steps = self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]
        if steps is None:
            raise Unavailable("away")
        return FLEET | {"steps": dict.fromkeys(NAMES, 0) | {"n": steps}}


@pytest.fixture(autouse=True)
def _in_no_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet_watch, "EVERY_S", 0.0)


def watch(server: Server, least: int = 1) -> tuple[FleetWatch, Watched]:
    """Until the server was asked so often, and once more at the end."""

    async def run() -> tuple[FleetWatch, Watched]:
        watch = FleetWatch(server)  # type: ignore[arg-type]
        async with watch.watching() as watched:
            while server.asked < least:
                await asyncio.sleep(0)
        return watch, watched

    return asyncio.run(run())


def test_a_level_has_the_steps_that_were_taken_meanwhile() -> None:
    _watch, watched = watch(Server(10, 10, 25), least=2)
    assert watched.steps is not None and watched.steps.n == 15
    assert (watched.slots, watched.engine, watched.cold_starts_s) == (8, "SimulatedEngine", (2.5,))


def test_each_moment_says_what_waits_runs_and_works() -> None:
    _watch, watched = watch(Server(1), least=5)
    assert len(watched.moments) >= 5
    moment = watched.moments[0]
    assert (moment.waiting, moment.running, moment.workers, moment.starting) == (3, 2, 1, 1)


def test_a_server_without_a_fleet_is_asked_once() -> None:
    server = Server(None)
    watch_, watched = watch(server)
    assert (watch_.is_shown, watched.moments, watched.steps) == (False, [], None)
    assert server.asked == 1


def test_one_that_fails_meanwhile_is_asked_again() -> None:
    watch_, watched = watch(Server(10, None, 12, 12, 30), least=4)
    assert watch_.is_shown
    assert watched.steps is not None and watched.steps.n == 20
