"""The policy with the rules of the settings, and its memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.core.settings import Settings
from headrace.core.step_sums import StepSums
from scaler.mind import PolicyMind, rules_of, stale_s
from scaler.readings import Load, Member, Readings, Unknown

READING = Readings(
    at=1000.0,
    run_id="run",
    waiting=Load(),
    running=Load(),
    oldest_wait_s=0.0,
    arrived=Load(),
    completed=Load(),
    steps=StepSums(),
    p95_s=None,
    members=(Member(1, "ready", 60.0),),
)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    changes = {"scaler_min": 1, "scaler_max": 6, "scaler_policy": "queue-depth"}
    return settings.model_copy(update=changes | {"scaler_tick_s": 0.5, "scaler_window_s": 9.0})


def test_the_rules_are_those_of_the_settings(settings: Settings) -> None:
    rules = rules_of(settings)
    assert (rules.policy, rules.min_workers, rules.max_workers) == ("queue-depth", 1, 6)
    assert (rules.slots, rules.slo_latency_s, rules.slo_tpot_s) == (32, 1.0, 0.15)
    assert (rules.stale_s, rules.down_window_s) == (1.5, 9.0)
    assert stale_s(settings) == 1.5


def test_what_is_unknown_keeps_the_size_that_was_found(settings: Settings) -> None:
    decision = PolicyMind(settings, 3).decide(Unknown("Redis is away"), 1000.0)
    assert (decision.size, decision.holds) == (3, True)
    assert "Redis is away" in decision.reason


def test_it_says_how_many_would_do_where_so_many_may_not_be(settings: Settings) -> None:
    flooded = replace(READING, waiting=Load(400, 1e5), oldest_wait_s=5.0)
    decision = PolicyMind(settings, 6).decide(flooded, 1000.0)
    assert (decision.size, decision.is_bounded) == (6, True)
    assert decision.reason.startswith("19 would do, 6 is the most: ")

    least = settings.model_copy(update={"scaler_min": 3})
    decision = PolicyMind(least, 3).decide(READING, 1000.0)
    assert (decision.size, decision.is_bounded) == (3, False)
    assert decision.reason.startswith("1 would do, 3 is the least: ")


def test_it_remembers_from_one_tick_to_the_next(settings: Settings) -> None:
    mind = PolicyMind(settings.model_copy(update={"scaler_fleet": "kubernetes"}), 1)
    mind.decide(READING, 1000.0)
    again = mind.decide(READING, 1000.5)
    assert again.holds  # the same reading again says nothing new

    flooded = replace(READING, at=1001.0, waiting=Load(100, 1e5), oldest_wait_s=5.0)
    assert mind.decide(flooded, 1001.0).size > 1


def test_on_one_machine_growth_waits_for_the_first_steps_but_not_for_ever(
    settings: Settings,
) -> None:
    mind = PolicyMind(settings, 1)
    mind.decide(READING, 1000.0)
    sizes = []
    for tick in range(1, 10):
        at = 1000.0 + 2 * tick
        flooded = replace(READING, at=at, waiting=Load(100, 1e5), oldest_wait_s=5.0)
        sizes.append(mind.decide(flooded, at).size)

    assert sizes[:8] == [1] * 8
    assert sizes[8] > 1
