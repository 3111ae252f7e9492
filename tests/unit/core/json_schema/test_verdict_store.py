"""Questions about schemas, and their verdicts, on a real server."""

from __future__ import annotations

import pytest

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.json_schema.verdict import Verdict
from headrace.core.json_schema.verdict_store import MOST_QUESTIONS, VerdictStore

SCHEMA = '{"type": "string"}'


@pytest.fixture
def store(redis: Client) -> VerdictStore:
    return VerdictStore(redis, "Engine", "card", most_s=2.0)


def waiting(redis: Client) -> int:
    return int(redis.llen(keys.schema_questions("Engine", "card")))


def test_a_question_is_answered_for_all_who_ask(store: VerdictStore, redis: Client) -> None:
    assert store.complaints([SCHEMA]) == {}
    store.ask([SCHEMA])
    assert store.next_question(1) == SCHEMA

    store.answer(SCHEMA, Verdict(0.1))

    assert store.complaints([SCHEMA, "{}"]) == {SCHEMA: None}
    assert 0 < redis.ttl(next(redis.scan_iter("headrace:schema-verdict:*"))) <= 86_400


def test_the_same_question_waits_once(store: VerdictStore, redis: Client) -> None:
    store.ask([SCHEMA])
    store.ask([SCHEMA, "{}"])
    assert waiting(redis) == 2


def test_too_many_questions_are_dropped_and_may_be_asked_again(
    store: VerdictStore, redis: Client
) -> None:
    store.ask([str(number) for number in range(MOST_QUESTIONS + 3)])
    assert waiting(redis) == MOST_QUESTIONS

    store.next_question(1)
    store.ask([str(MOST_QUESTIONS + 2)])
    assert waiting(redis) == MOST_QUESTIONS


def test_a_question_that_nobody_waits_for_is_not_tried(store: VerdictStore, redis: Client) -> None:
    store.ask([SCHEMA])
    redis.delete(*redis.scan_iter("headrace:schema-question:*"))
    assert store.next_question(1) is None
    assert waiting(redis) == 0


def test_a_question_that_was_answered_meanwhile_is_not_tried(store: VerdictStore) -> None:
    store.ask([SCHEMA])
    store.answer(SCHEMA, Verdict(0.1))
    store.ask([SCHEMA])
    assert store.next_question(1) is None


def test_another_engine_or_card_has_verdicts_of_its_own(redis: Client, store: VerdictStore) -> None:
    store.answer(SCHEMA, Verdict(0.1))
    for other in (VerdictStore(redis, "Other", "card", 2), VerdictStore(redis, "Engine", "b", 2)):
        assert other.complaints([SCHEMA]) == {}


def test_a_trial_that_was_broken_off_is_tried_again_once_more_time_is_allowed(
    redis: Client, store: VerdictStore
) -> None:
    store.answer(SCHEMA, Verdict(2.0, is_whole=False))
    assert "2 s of CPU time" in str(store.complaints([SCHEMA])[SCHEMA])

    patient = VerdictStore(redis, "Engine", "card", most_s=5.0)
    patient.ask([SCHEMA])
    assert patient.complaints([SCHEMA]) == {}
    assert patient.next_question(1) == SCHEMA
