"""News: what the scripts tell is what stands in the streams, and what is unclear tells nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from headrace.core import events, news
from headrace.core.connection import Client
from headrace.core.events import TokenEvent
from headrace.core.jobs import keys
from headrace.core.jobs.handover import Publication
from headrace.core.jobs.queue import JobQueue
from headrace.core.settings import Settings
from headrace.core.types import JobState, TokenLogprobs
from tests.fakes import make_request
from tests.unit.core.jobs.steps import ROOM, claim_one, publish, succeed

Heard = list[tuple[str, list[tuple[str, TokenEvent | None]]]]
LOGPROBS = (TokenLogprobs(7, -0.5, ((7, -0.5), (3, -1.5))),)


@pytest.fixture
def queue(redis: Client, settings: Settings) -> JobQueue:
    return JobQueue(redis, settings)


@pytest.fixture
def heard(redis: Client) -> Iterator[Callable[[], Heard]]:
    """All that was told of `job-1` and `job-2` so far, by channel."""
    with redis.pubsub(ignore_subscribe_messages=True) as pubsub:
        pubsub.subscribe(keys.TOKENS_CHANNEL, keys.ENDED_CHANNEL)
        pubsub.get_message(timeout=5)
        pubsub.get_message(timeout=5)

        def messages() -> Iterator[dict[str, Any]]:
            redis.publish(keys.ENDED_CHANNEL, "over")
            while True:
                message = pubsub.get_message(timeout=5)
                if message is not None and message["data"] == b"over":
                    return
                if message is not None:
                    yield message

        yield lambda: [
            (message["channel"].decode(), list(news.read(message["data"], {"job-1", "job-2"})))
            for message in messages()
        ]


def test_each_published_entry_is_told_as_it_stands_in_its_stream(
    queue: JobQueue, redis: Client, heard: Callable[[], Heard]
) -> None:
    queue.submit(make_request("job-1"))
    queue.submit(make_request("job-2"))
    claims = queue.claim("worker-1", ROOM).claims
    texts = ['"quoted"\n/ käse \x00\x7f\u2028', ""]
    queue.publish(
        [
            Publication(claim, 2, [5, 7], text, age_s=0.0, logprobs=logprobs)
            for claim, text, logprobs in zip(claims, texts, [LOGPROBS, ()], strict=True)
        ]
    )

    told = [(job_id, events.tokens(redis, job_id)[0]) for job_id in ("job-1", "job-2")]
    assert heard() == [(keys.TOKENS_CHANNEL, told)]
    assert told[0][1].logprobs == LOGPROBS


@pytest.mark.parametrize("end", ["succeed", "fail", "cancel"])
def test_the_end_of_a_stream_is_told_with_its_state_and_last_tokens(
    queue: JobQueue, redis: Client, heard: Callable[[], Heard], end: str
) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    if end == "succeed":
        succeed(queue, claim, token_ids=(9,), text="!", logprobs=LOGPROBS)
    elif end == "fail":
        succeed(queue, claim, count=0, result=None, reason="error", error="broken")
    else:
        queue.cancel("job-1")

    (last,) = events.tokens(redis, "job-1")
    assert heard() == [(keys.ENDED_CHANNEL, [("job-1", last)])]
    assert last.state is not None


def test_an_entry_that_stood_there_already_is_not_told_again(
    queue: JobQueue, heard: Callable[[], Heard]
) -> None:
    queue.submit(make_request())
    claim = claim_one(queue)
    publish(queue, claim, [1], count=1)
    publish(queue, claim, [1], count=1)

    first, second = heard()
    assert first[1][0][1] is not None
    assert second == (keys.TOKENS_CHANNEL, [("job-1", None)])


def test_an_entry_that_is_very_long_has_to_be_read(
    queue: JobQueue, heard: Callable[[], Heard]
) -> None:
    queue.submit(make_request())
    publish(queue, claim_one(queue), [1], count=1, text="x" * 20_000)

    assert heard() == [(keys.TOKENS_CHANNEL, [("job-1", None)])]


def test_a_message_of_ids_alone_tells_to_look() -> None:
    assert list(news.read(b"a b c", {"c", "a", "x"})) == [("a", None), ("c", None)]


def test_what_nobody_follows_is_not_decoded() -> None:
    message = message_of(a="nonsense", b='["1-0",[1],"x"]')

    assert list(news.read(message, set())) == []
    assert list(news.read(message, {"b"})) == [("b", TokenEvent("1-0", (1,), "x"))]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "[",
        "{}",
        "7",
        '["1-0"]',
        '["1-1",[],"","unheard of","",[]]',
        '["1-0",[1],"x","","",[[1]]]',
        '["one",[1],"x"]',
        json.dumps(["1-0", [1], "x", "", "", [], "of a newer version"]),
    ],
)
def test_a_line_that_this_version_does_not_understand_tells_to_look(line: str) -> None:
    assert list(news.read(message_of(a=line), {"a"})) == [("a", None)]


def test_lines_that_are_not_one_a_job_tell_to_look() -> None:
    message = message_of(a='["1-0",[1],"x"]') + b"\n" + b'["2-0",[2],"y"]'

    assert list(news.read(message, {"a"})) == [("a", None)]


def test_an_end_may_have_no_tokens() -> None:
    (told,) = news.read(message_of(a='["4-1",[],"","failed","expired"]'), {"a"})

    assert told == ("a", TokenEvent("4-1", (), "", JobState.EXPIRED, "expired"))


def message_of(**lines: str) -> bytes:
    return "\n".join([" ".join(lines), *lines.values()]).encode()
