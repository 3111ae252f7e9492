"""Waiters: everyone is woken by what they wait for, over one connection."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from api.waiters import Waiters
from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings


@pytest.fixture
def waiters(redis: Client, settings: Settings) -> Iterator[Waiters]:
    """Already listening to both channels."""
    waiters = Waiters(JobQueue(redis, settings))
    with waiters.watch("warm-up", tokens=True) as event:
        for channel in (keys.TOKENS_CHANNEL, keys.ENDED_CHANNEL):
            assert event.wait(10)
            event.clear()
            redis.publish(channel, "warm-up")
            assert event.wait(10)
    yield waiters
    waiters.close()


def test_everyone_who_waits_for_a_job_is_woken_by_its_end_and_nobody_else(
    waiters: Waiters, redis: Client
) -> None:
    with waiters.watch("a") as first, waiters.watch("a") as second, waiters.watch("b") as other:
        for event in (first, second, other):
            event.clear()
        redis.publish(keys.ENDED_CHANNEL, "a")

        assert first.wait(10)
        assert second.wait(10)
        assert not other.is_set()


def test_tokens_wake_those_who_stream_and_not_those_who_wait_for_the_end(
    waiters: Waiters, redis: Client
) -> None:
    with waiters.watch("a", tokens=True) as stream, waiters.watch("a") as end:
        end.clear()
        redis.publish(keys.TOKENS_CHANNEL, "x a y")

        assert stream.wait(10)
        assert not end.is_set()


def test_who_no_longer_waits_is_forgotten(waiters: Waiters) -> None:
    with waiters.watch("a", tokens=True):
        assert waiters._events
    assert not waiters._events


def test_everybody_looks_again_after_the_connection_was_lost(
    waiters: Waiters, redis: Client
) -> None:
    with waiters.watch("a") as event:
        event.clear()
        redis.execute_command("CLIENT", "KILL", "TYPE", "PUBSUB")

        assert event.wait(10)
