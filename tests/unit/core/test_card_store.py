"""The card in Redis, where the API finds it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headrace.core.card_extras import CardExtras
from headrace.core.card_store import FRESH_S, CardStore
from headrace.core.connection import Client
from headrace.core.errors import Unavailable
from headrace.core.jobs import keys
from tests.fakes import CARD, FakeClock, make_card


def test_without_a_card_nothing_can_be_asked(fake_redis: Client) -> None:
    with pytest.raises(Unavailable, match="no model card"):
        CardStore(fake_redis).current()


def test_a_card_is_decoded_once_and_again_when_another_is_put(fake_redis: Client) -> None:
    clock = FakeClock()
    store = CardStore(fake_redis, clock)
    store.put(CARD)
    first = store.current()
    assert first == CARD
    clock.sleep(FRESH_S)
    assert store.current() is first

    CardStore(fake_redis).put(make_card("other"))
    clock.sleep(FRESH_S)
    assert store.current().name == "other"


def test_a_card_that_was_just_looked_at_is_not_asked_for_again(fake_redis: Client) -> None:
    clock = FakeClock()
    store = CardStore(fake_redis, clock)
    store.put(CARD)
    store.current()
    fake_redis.delete(keys.CARD)

    assert store.current() == CARD
    clock.sleep(FRESH_S)
    with pytest.raises(Unavailable):
        store.current()


def test_extras_that_changed_are_seen_though_the_hash_stays(fake_redis: Client) -> None:
    clock = FakeClock()
    store = CardStore(fake_redis, clock)
    store.put(CARD)
    store.current()

    CardStore(fake_redis).put(replace(CARD, extras=CardExtras(chat_error="no")))
    clock.sleep(FRESH_S)

    assert store.current().extras.chat_error == "no"


def test_a_card_of_a_worker_of_the_version_before_has_no_extras_of_another(
    fake_redis: Client,
) -> None:
    CardStore(fake_redis).put(replace(CARD, extras=CardExtras(chat_error="no")))
    other = make_card("other")
    fake_redis.hset(keys.CARD, mapping={"hash": other.hash, "card": other.encode()})

    assert CardStore(fake_redis).current() == other


def test_an_api_of_the_version_before_finds_a_card_that_it_can_read(fake_redis: Client) -> None:
    CardStore(fake_redis).put(replace(CARD, extras=CardExtras(chat_error="no")))

    assert fake_redis.hget(keys.CARD, "hash") == CARD.hash.encode()
    assert fake_redis.hget(keys.CARD, "card") == CARD.encode().encode()


def test_a_model_was_first_seen_when_it_was_first_put(fake_redis: Client) -> None:
    store = CardStore(fake_redis)
    store.put(CARD)
    fake_redis.hset(keys.CARD, f"seen:{CARD.hash}", 1_700_000_000)

    store.put(make_card("other"))
    store.put(CARD)

    assert store.first_seen(CARD) == 1_700_000_000
    assert store.first_seen(make_card("other")) > 1_700_000_000


def test_a_card_of_an_older_version_is_seen_when_it_is_asked_for(fake_redis: Client) -> None:
    first = CardStore(fake_redis).first_seen(CARD)
    assert first > 1_700_000_000
    assert CardStore(fake_redis).first_seen(CARD) == first
