"""Lost log lines in the fleet's counts."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headrace.core.connection import Client, connect
from headrace.core.jobs import log_loss
from headrace.core.jobs.counters import Counters
from headrace.core.jobs.log_loss import LogLoss
from headrace.core.settings import Settings

Lose = Callable[[int], None]


@pytest.fixture
def lose(monkeypatch: pytest.MonkeyPatch) -> Lose:
    """Sets how many lines this process has lost."""

    def set_lost(lines: int) -> None:
        monkeypatch.setattr(log_loss, "lost_lines", lambda: lines)

    return set_lost


def test_each_lost_line_is_counted_once(redis: Client, settings: Settings, lose: Lose) -> None:
    first, second = (LogLoss(redis, settings, "worker") for _process in range(2))
    first.hand_in()
    assert Counters(redis, settings).read() == {}

    lose(3)
    for loss in (first, first, second):
        loss.hand_in()
    lose(4)
    first.hand_in()
    assert Counters(redis, settings).read() == {"log_lines_lost:worker": 7}


def test_without_redis_a_later_call_counts(
    redis: Client, settings: Settings, lose: Lose, monkeypatch: pytest.MonkeyPatch
) -> None:
    loss = LogLoss(connect("unix:///nowhere.sock", 0.1), settings, "scaler")
    lose(1)
    loss.hand_in()
    monkeypatch.setattr(loss, "_counters", Counters(redis, settings))
    loss.hand_in()
    assert Counters(redis, settings).read() == {"log_lines_lost:scaler": 1}
