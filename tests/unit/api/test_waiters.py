"""Waiters: everyone is woken by what they wait for, over one connection."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from api.inbox import Inbox
from api.waiters import Waiters
from headrace.core.connection import Client
from headrace.core.events import TokenEvent
from headrace.core.jobs import keys
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings


@pytest.fixture
def waiters(redis: Client, settings: Settings) -> Iterator[Waiters]:
    """Already listening to both channels."""
    waiters = Waiters(JobQueue(redis, settings))
    with waiters.watch(["warm-up"], tokens=True) as inbox:
        for channel in (keys.TOKENS_CHANNEL, keys.ENDED_CHANNEL):
            assert inbox.wait(10)
            inbox.take()
            redis.publish(channel, "warm-up")
            assert inbox.wait(10)
    yield waiters
    waiters.close()


def empty(*inboxes: Inbox) -> None:
    for inbox in inboxes:
        inbox.take()


def test_everyone_who_waits_for_a_job_is_woken_by_its_end_and_nobody_else(
    waiters: Waiters, redis: Client
) -> None:
    with (
        waiters.watch(["a"]) as first,
        waiters.watch(["a"]) as second,
        waiters.watch(["b"]) as other,
    ):
        empty(first, second, other)
        redis.publish(keys.ENDED_CHANNEL, "a")

        assert first.wait(10)
        assert second.wait(10)
        assert not other.wait(0)


def test_tokens_wake_those_who_stream_and_not_those_who_wait_for_the_end(
    waiters: Waiters, redis: Client
) -> None:
    with waiters.watch(["a"], tokens=True) as stream, waiters.watch(["a"]) as end:
        empty(end)
        redis.publish(keys.TOKENS_CHANNEL, "x a y")

        assert stream.wait(10)
        assert not end.wait(0)


def test_every_stream_of_a_job_gets_the_entry_that_is_told(waiters: Waiters, redis: Client) -> None:
    with (
        waiters.watch(["a"], tokens=True) as first,
        waiters.watch(["b", "a"], tokens=True) as second,
    ):
        empty(first, second)
        redis.publish(keys.TOKENS_CHANNEL, 'x a y\n\n["1-0",[7],"!"]\n')

        for inbox in (first, second):
            assert inbox.wait(10)
            assert inbox.take() == [("a", TokenEvent("1-0", (7,), "!"))]


def test_a_message_of_ids_alone_has_a_stream_look_for_itself(
    waiters: Waiters, redis: Client
) -> None:
    with waiters.watch(["a"], tokens=True) as inbox:
        empty(inbox)
        redis.publish(keys.TOKENS_CHANNEL, "x a y")

        assert inbox.wait(10)
        assert inbox.take() == [("a", None)]


def test_whoever_no_longer_waits_is_forgotten(waiters: Waiters) -> None:
    with waiters.watch(["a", "b"], tokens=True):
        assert all(waiters._inboxes.values())
    assert not any(waiters._inboxes.values())


def test_everybody_looks_again_after_the_connection_was_lost(
    waiters: Waiters, redis: Client
) -> None:
    with waiters.watch(["a"]) as end, waiters.watch(["b"], tokens=True) as stream:
        empty(end, stream)
        redis.execute_command("CLIENT", "KILL", "TYPE", "PUBSUB")

        assert end.wait(10)
        assert stream.wait(10)
        assert ("b", None) in stream.take()


@pytest.mark.parametrize("message", ["a\n" + "[" * 100_000, "a\nnull", 'a\n["1-0",7,8]', "\xff\n"])
def test_a_message_that_nobody_can_read_costs_no_connection(
    waiters: Waiters, redis: Client, message: str
) -> None:
    connections = redis.client_list(_type="pubsub")
    with waiters.watch(["a"], tokens=True) as stream, waiters.watch(["a"]) as end:
        empty(stream, end)
        for channel in (keys.TOKENS_CHANNEL, keys.ENDED_CHANNEL):
            redis.publish(channel, message)
            redis.publish(channel, "a")

        assert stream.wait(10)
        assert end.wait(10)
    ids = [connection["id"] for connection in redis.client_list(_type="pubsub")]
    assert ids == [connection["id"] for connection in connections]


def test_a_listener_that_ended_is_started_again(waiters: Waiters, redis: Client) -> None:
    ended = threading.Thread(target=lambda: None)
    ended.start()
    ended.join()
    waiters._listener = ended
    with waiters.watch(["a"]) as end:
        assert end.wait(10)  # it looks once it has subscribed
