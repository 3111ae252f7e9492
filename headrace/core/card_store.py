"""The deployment's model card in Redis, where the API finds it."""

from __future__ import annotations

import math
from threading import Lock

from headrace.core.clock import Clock, SystemClock
from headrace.core.connection import Client
from headrace.core.errors import Unavailable
from headrace.core.jobs import keys
from headrace.core.model_card import ModelCard

FRESH_S = 1.0
"""How old a card may be: a busy API does not ask for it with every request."""


class CardStore:
    """Decodes a card once and again only when another one was put."""

    def __init__(self, redis: Client, clock: Clock | None = None) -> None:
        self._redis = redis
        self._clock = clock or SystemClock()
        self._looking = Lock()
        self._looked_at = -math.inf
        self._seen: list[bytes | None] = []
        self._card: ModelCard | None = None

    def put(self, card: ModelCard) -> None:
        """The extras are a field of their own: an API of the version before knows the rest."""
        fields = {
            "hash": card.hash,
            "name": card.name,
            "card": card.encode(),
            "extras": card.encode_extras(),
        }
        self._redis.hset(keys.CARD, mapping=fields)
        self.first_seen(card)

    def first_seen(self, card: ModelCard) -> int:
        """Returns the Redis TIME at which this model was first put or asked for, in s."""
        field = f"seen:{card.hash}"
        if not self._redis.hexists(keys.CARD, field):
            self._redis.hsetnx(keys.CARD, field, self._redis.time()[0])
        return int(self._redis.hget(keys.CARD, field) or 0)

    def current(self) -> ModelCard:
        """At most a second old. Raises `Unavailable` while no worker has put one."""
        with self._looking:  # a hundred requests that come first must not decode it each
            now = self._clock.now()
            if self._card is None or now - self._looked_at >= FRESH_S:
                self._card = self._look()
                self._looked_at = now
            return self._card

    def _look(self) -> ModelCard:
        seen = self._redis.hmget(keys.CARD, "hash", "extras")
        if self._card is None or seen != self._seen:
            digest, card, extras = self._redis.hmget(keys.CARD, "hash", "card", "extras")
            if card is None:
                self._card = None
                raise Unavailable("no model card yet: no worker has been ready")
            self._card, self._seen = ModelCard.decode(card, extras), [digest, extras]
        return self._card
