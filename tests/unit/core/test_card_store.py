"""The card in Redis, where the API finds it."""

from __future__ import annotations

import pytest

from headrace.core.card_store import CardStore
from headrace.core.connection import Client
from headrace.core.errors import Unavailable
from tests.fakes import CARD, make_card


def test_without_a_card_nothing_can_be_asked(fake_redis: Client) -> None:
    with pytest.raises(Unavailable, match="no model card"):
        CardStore(fake_redis).current()


def test_a_card_is_decoded_once_and_again_when_another_is_put(fake_redis: Client) -> None:
    store = CardStore(fake_redis)
    store.put(CARD)
    first = store.current()
    assert first == CARD
    assert store.current() is first

    CardStore(fake_redis).put(make_card("other"))
    assert store.current().name == "other"
