"""Users of an engine in their own process: as many at once as it has slots, and none in between."""

from __future__ import annotations

import time

import pytest

from api.schemas import NO_DEFAULTS
from batcher.simulated import SimulatedEngine
from bench.closed_loop import Course
from bench.peers.engine_users import ChatRequests, EngineUsers
from headrace.core.settings import Settings
from headrace.core.types import Delta
from tests.fakes import make_card

CARD = make_card()
SLOTS = 2


class WatchedEngine(SimulatedEngine):
    """Remembers the most requests that it ran together."""

    most = 0

    def step(self) -> list[Delta]:
        self.most = max(self.most, self.stats().running)
        return super().step()


@pytest.fixture
def engine() -> WatchedEngine:
    law = {"simulated_alpha_s": 0.001, "simulated_beta_s": 0.0, "simulated_gamma_s": 0.0}
    return WatchedEngine(Settings(max_slots=SLOTS, **law), CARD)  # type: ignore[arg-type]


def course(users: int) -> Course:
    return Course(
        users=users,
        seed=0,
        begins_at=time.monotonic(),
        warm_up_s=0.05,
        seconds=0.2,
        prompt_tokens=20,
        output_tokens=8,
    )


@pytest.mark.parametrize(("users", "at_once"), [(1, 1), (2, 2), (5, SLOTS)])
def test_users_fill_the_slots_and_leave_none_behind(
    engine: WatchedEngine, users: int, at_once: int
) -> None:
    answers = EngineUsers(engine, ChatRequests(CARD, NO_DEFAULTS)).run(course(users))

    assert engine.most == at_once
    assert engine.is_idle
    assert len(answers) > users


def test_answers_say_when_their_tokens_came(engine: WatchedEngine) -> None:
    asked_for = course(SLOTS)
    answers = EngineUsers(engine, ChatRequests(CARD, NO_DEFAULTS)).run(asked_for)

    assert all(one.asked <= one.first <= one.last for one in answers)
    assert {one.tokens for one in answers[:-SLOTS]} <= set(range(4, 13))


def test_two_runs_follow_each_other(engine: WatchedEngine) -> None:
    users = EngineUsers(engine, ChatRequests(CARD, NO_DEFAULTS))
    first, second = users.run(course(1)), users.run(course(1))

    assert second[0].asked > first[-1].last
