"""The deployment's model card in Redis, where the API finds it."""

from __future__ import annotations

from headrace.core.connection import Client
from headrace.core.errors import Unavailable
from headrace.core.jobs import keys
from headrace.core.model_card import ModelCard


class CardStore:
    """Decodes a card once and again only when another one was put."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._hash = b""
        self._card: ModelCard | None = None

    def put(self, card: ModelCard) -> None:
        self._redis.hset(keys.CARD, mapping={"hash": card.hash, "card": card.encode()})

    def current(self) -> ModelCard:
        """Raises `Unavailable` while no worker has put a card."""
        digest = self._redis.hget(keys.CARD, "hash")
        if digest is None:
            raise Unavailable("no model card yet: no worker has been ready")
        if self._card is None or digest != self._hash:
            self._card = ModelCard.decode(self._redis.hget(keys.CARD, "card") or b"")
            self._hash = digest
        return self._card
