"""Reading token streams and the completion log."""

from __future__ import annotations

import json

from headrace.core import events
from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.types import JobState, TokenLogprobs

STAMPS = "1.0 2.0 3.0 5.0 8.0"


def add(redis: Client, place: str, ids: list[int], text: str, **end: str) -> None:
    redis.xadd(keys.stream("a"), {"ids": json.dumps(ids), "text": text, **end}, id=place)


def test_a_stream_that_does_not_exist_is_empty(fake_redis: Client) -> None:
    assert events.tokens(fake_redis, "nobody") == []


def test_the_end_of_a_stream_has_the_state_and_its_reason(fake_redis: Client) -> None:
    add(fake_redis, "2-0", [1, 2], "käse")
    add(fake_redis, "2-1", [], "", end="failed", reason="expired")

    first, last = events.tokens(fake_redis, "a")
    assert (first.place, first.token_ids, first.text, first.state) == ("2-0", (1, 2), "käse", None)
    assert (last.place, last.state, last.reason) == ("2-1", JobState.EXPIRED, "expired")


def test_an_entry_may_have_logprobs_and_older_ones_have_none(fake_redis: Client) -> None:
    add(fake_redis, "1-0", [1], "a")
    add(fake_redis, "2-0", [2], "b", logprobs="[[2,-0.5,[[2,-0.5],[3,-1.5]]]]")

    first, second = events.tokens(fake_redis, "a")
    assert first.logprobs == ()
    assert second.logprobs == (TokenLogprobs(2, -0.5, ((2, -0.5), (3, -1.5))),)


def test_only_what_lies_behind_a_place_is_read(fake_redis: Client) -> None:
    for count in (1, 2, 3):
        add(fake_redis, f"{count}-0", [count], str(count))

    assert [event.text for event in events.tokens(fake_redis, "a", after="1-0")] == ["2", "3"]


def test_the_newest_completions_come_oldest_first(fake_redis: Client) -> None:
    for job_id in ("a", "b", "c"):
        record = {"id": job_id, "status": "finished", "reason": "stop", "report": ""}
        fake_redis.xadd(keys.COMPLETIONS, record | {"stamps": STAMPS})

    records = events.completions(fake_redis, limit=2)
    assert [record.job_id for record in records] == ["b", "c"]
    assert records[0].timings.stages == {
        "queue_wait": 1.0,
        "prefill": 1.0,
        "decode": 2.0,
        "commit": 3.0,
    }
    assert records[0].report is None
