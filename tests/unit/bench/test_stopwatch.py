from __future__ import annotations

import time

from bench.stopwatch import Stopwatch, TimedStep, now


class Worker:
    """Works for a while that can be told from nothing."""

    name = "worker"

    def step(self) -> str:
        until = time.thread_time() + 0.01
        while time.thread_time() < until:
            pass
        return "done"


def test_calls_add_up_until_the_reset() -> None:
    stopwatch, worker = Stopwatch(), Worker()
    stopwatch.attach(worker, "step")
    started = now()
    assert worker.step() == worker.step() == "done"
    spent, passed = stopwatch.reset(), now() - started
    assert 0.02 <= spent.cpu_s <= passed.cpu_s
    assert 0.02 <= spent.wall_s <= passed.wall_s
    assert stopwatch.reset().wall_s == 0


def test_a_timed_step_has_the_attributes_of_its_owner() -> None:
    stopwatch = Stopwatch()
    timed = TimedStep(Worker(), stopwatch)
    assert timed.step() == "done"
    assert timed.name == "worker"
    assert stopwatch.reset().cpu_s >= 0.01
