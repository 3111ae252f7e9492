"""A reader of a stream: each entry once and in order, whatever it is told and in whatever order."""

from __future__ import annotations

import json

import pytest
from fakeredis import FakeRedis
from hypothesis import given
from hypothesis import strategies as st
from redis.exceptions import ConnectionError as RedisConnectionError

from api.token_reader import TokenReader
from headrace.core import events
from headrace.core.connection import Client
from headrace.core.events import START, TokenEvent
from headrace.core.jobs import keys, rq_adapter
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import JobState
from tests.fakes import make_request
from tests.unit.core.jobs.steps import claim_one, publish, succeed

PLACES = st.tuples(st.integers(0, 99))


@pytest.fixture
def stream(redis: Client, settings: Settings) -> tuple[JobQueue, list[TokenEvent]]:
    """A job with four entries in its stream, of which the last is its end with a token."""
    queue = JobQueue(redis, settings)
    queue.submit(make_request())
    claim = claim_one(queue)
    publish(queue, claim, [1], count=1)
    publish(queue, claim, [2, 3], count=3)
    publish(queue, claim, [4], count=4)
    succeed(queue, claim, count=5, token_ids=(5,), text="!")
    return queue, events.tokens(redis, "job-1")


def test_what_continues_is_taken_as_it_is_told(
    redis: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(events, "tokens")  # nothing is read
    reader = TokenReader(JobQueue(redis, settings), "job-1", START)
    told = [
        TokenEvent("2-0", (1, 2), "ab"),
        TokenEvent("3-0", (3,), "c"),
        TokenEvent("3-1", (), "", JobState.SUCCEEDED, "stop"),
    ]

    assert [reader.take(event) for event in told] == [[event] for event in told]


def test_a_gap_is_read_from_the_stream(stream: tuple[JobQueue, list[TokenEvent]]) -> None:
    queue, (first, second, third, last) = stream
    reader = TokenReader(queue, "job-1", START)

    assert reader.take(first) == [first]
    assert reader.take(third) == [second, third, last]


def test_what_came_before_brings_nothing(
    stream: tuple[JobQueue, list[TokenEvent]], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, (first, second, *_rest) = stream
    reader = TokenReader(queue, "job-1", second.place)
    monkeypatch.delattr(events, "tokens")  # nor is anything read

    assert reader.take(first) == []
    assert reader.take(second) == []


def test_an_entry_of_which_a_part_is_known_is_not_taken(
    stream: tuple[JobQueue, list[TokenEvent]],
) -> None:
    queue, (first, *rest) = stream
    reader = TokenReader(queue, "job-1", first.place)

    assert reader.take(TokenEvent("3-0", (1, 2, 3), "xxx")) == rest


def test_a_reader_resumes_in_the_middle(stream: tuple[JobQueue, list[TokenEvent]]) -> None:
    queue, (_first, second, third, last) = stream
    reader = TokenReader(queue, "job-1", second.place)

    assert reader.take(third) == [third]
    assert reader.take(None) == [last]


@given(steps=st.lists(st.one_of(st.integers(1, 3), st.sampled_from(["tell", "wake"]), PLACES)))
def test_whatever_is_told_while_a_stream_grows_each_entry_comes_once_and_in_order(
    steps: list[int | str | tuple[int]],
) -> None:
    """A number appends an entry of so many tokens; a place in brackets tells an entry again."""
    redis = FakeRedis()
    redis.hset(rq_adapter.job_key("a"), "status", "started")
    reader = TokenReader(JobQueue(redis, Settings()), "a", START)
    entries: list[TokenEvent] = []
    seen: list[TokenEvent] = []
    for step in steps:
        match step:
            case int():
                entries.append(append(redis, entries, step))
            case "tell" if entries:
                seen += reader.take(entries[-1])
            case (place,) if entries:
                seen += reader.take(entries[place % len(entries)])
            case "wake":
                seen += reader.take(None)
        assert seen == entries[: len(seen)]

    assert seen + reader.take(None) == entries


def append(redis: FakeRedis, entries: list[TokenEvent], tokens: int) -> TokenEvent:
    """The entry that it adds to the stream of `a`."""
    before = entries[-1].count if entries else 0
    ids = tuple(range(before, before + tokens))
    place = f"{before + tokens}-0"
    redis.xadd(keys.stream("a"), {"ids": json.dumps(ids), "text": f"{ids}"}, id=place)
    return TokenEvent(place, ids, f"{ids}")


def test_a_gap_in_a_stream_that_cannot_be_read_yet_is_read_later(
    stream: tuple[JobQueue, list[TokenEvent]], monkeypatch: pytest.MonkeyPatch
) -> None:
    queue, entries = stream
    reader = TokenReader(queue, "job-1", START)
    with monkeypatch.context() as patched:
        patched.setattr(events, "tokens", away)
        assert reader.take(entries[1]) == []

    assert reader.take(entries[2]) == entries


def away(*_arguments: object) -> list[TokenEvent]:
    raise RedisConnectionError("away")
