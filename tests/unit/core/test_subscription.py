"""A subscription: it hears its channels, and says when it no longer can."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from headrace.core import subscription as module
from headrace.core.connection import Client
from headrace.core.subscription import Subscription


@pytest.fixture
def subscription(redis: Client) -> Iterator[Subscription]:
    """To two channels; both have been confirmed."""
    with closing(Subscription(redis, ["a", "b"])) as subscription:
        for channel in (b"a", b"b"):
            kind, confirmed, _number = subscription.next(5) or []
            assert (kind, confirmed) == (b"subscribe", channel)
        yield subscription


def test_messages_of_all_channels_come_in_their_order(
    subscription: Subscription, redis: Client
) -> None:
    redis.publish("b", "first")
    redis.publish("other", "nothing")
    redis.publish("a", "x" * 100_000)

    assert subscription.next(5) == [b"message", b"b", b"first"]
    assert subscription.next(5) == [b"message", b"a", b"x" * 100_000]


def test_silence_is_none_and_what_comes_behind_it_is_heard(
    subscription: Subscription, redis: Client
) -> None:
    assert subscription.next(0.01) is None
    redis.publish("a", "late")
    assert subscription.next(5) == [b"message", b"a", b"late"]


def test_an_answer_to_a_health_check_is_no_message(
    subscription: Subscription, redis: Client
) -> None:
    subscription._pubsub.connection.next_health_check = 0
    redis.publish("a", "behind it")

    answers = [subscription.next(5) for _answer in range(2)]
    assert [answer for answer in answers if answer and answer[0] == b"message"] == [
        [b"message", b"a", b"behind it"]
    ]


def test_a_lost_connection_is_an_error(subscription: Subscription, redis: Client) -> None:
    redis.execute_command("CLIENT", "KILL", "TYPE", "PUBSUB")

    with pytest.raises(RedisConnectionError):
        subscription.next(5)


def test_a_connection_whose_other_end_vanished_is_lost(
    subscription: Subscription, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing comes any more, and nobody closed it: only its silence tells."""
    monkeypatch.setattr(module, "SILENCE_S", 0.0)

    with pytest.raises(RedisConnectionError, match="health check"):
        subscription.next(0.01)
