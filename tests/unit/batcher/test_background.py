"""Threads of the lowest priority, on one core."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from batcher.background import step_back


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a thread has no priority of its own")
def test_a_thread_steps_back_and_the_others_do_not() -> None:
    before = os.nice(0), os.sched_getaffinity(0)
    with ThreadPoolExecutor(1, initializer=step_back) as thread:
        assert len(thread.submit(os.sched_getaffinity, 0).result()) == 1
        assert thread.submit(os.nice, 0).result() == 19
    assert (os.nice(0), os.sched_getaffinity(0)) == before
