"""Verdicts on JSON schemas, and the questions that ask for them, in Redis."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256

from headrace.core.connection import Client
from headrace.core.jobs import keys
from headrace.core.json_schema.verdict import Verdict
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings

GRAMMARS = 2
"""Grows where schemas get other grammars than before: older verdicts are about those."""

KEPT_S = 86_400
"""How long a verdict is kept."""

ASKED_S = 5
"""How long a question waits for its trial: a caller that still wants to know asks again."""

MOST_QUESTIONS = 64
"""Questions that may wait for one engine and card."""


class VerdictStore:
    """Verdicts of one engine's compiler of grammars, for one model card.

    `engine` is the engine's name in the roster. A compile depends on the model's vocabulary, so
    another model's verdicts would be wrong. It may take `most_s` seconds of CPU time.
    """

    def __init__(self, redis: Client, engine: str, card_hash: str, most_s: float) -> None:
        self._redis = redis
        self._most_s = most_s
        self._place = (engine, card_hash)
        self._questions = keys.schema_questions(*self._place)

    def complaints(self, schemas: Sequence[str]) -> dict[str, str | None]:
        """Reads the complaint about each schema that was tried, None where there is none.

        Schemas without a verdict are not in it. One round trip.
        """
        found = self._redis.mget([self._verdict(schema) for schema in schemas])
        verdicts = {
            schema: Verdict.decode(text)
            for schema, text in zip(schemas, found, strict=True)
            if text is not None
        }
        return {
            schema: verdict.complaint(self._most_s)
            for schema, verdict in verdicts.items()
            if not verdict.says_nothing(self._most_s)
        }

    def ask(self, schemas: Sequence[str]) -> None:
        """Asks for trials, except where the question waits already. Drops what is too many."""
        with self._redis.pipeline(transaction=False) as pipeline:
            for schema in schemas:
                pipeline.set(self._question(schema), "1", nx=True, ex=ASKED_S)
            *are_new, waiting = pipeline.llen(self._questions).execute()
        new = [schema for schema, is_new in zip(schemas, are_new, strict=True) if is_new]
        room = max(0, MOST_QUESTIONS - waiting)
        with self._redis.pipeline(transaction=True) as pipeline:
            for schema in new[:room]:
                pipeline.rpush(self._questions, schema)
                pipeline.expire(self._questions, KEPT_S)
            for schema in new[room:]:
                pipeline.delete(self._question(schema))
            pipeline.execute()

    def next_question(self, wait_s: float) -> str | None:
        """Waits for a schema whose verdict somebody still wants; None where none came."""
        popped = self._redis.blpop([self._questions], timeout=wait_s)
        if popped is None:
            return None
        schema: str = popped[1].decode()
        is_wanted = self._redis.exists(self._question(schema))
        return schema if is_wanted and not self.complaints([schema]) else None

    def answer(self, schema: str, verdict: Verdict) -> None:
        """Keeps a verdict, and takes the question back."""
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.set(self._verdict(schema), verdict.encode(), ex=KEPT_S)
            pipeline.delete(self._question(schema))
            pipeline.execute()

    def _verdict(self, schema: str) -> str:
        return keys.schema_verdict(*self._place, _digest(schema))

    def _question(self, schema: str) -> str:
        return keys.schema_question(*self._place, _digest(schema))


def _digest(schema: str) -> str:
    return sha256(f"{GRAMMARS} {schema}".encode()).hexdigest()


def make_verdict_store(
    redis: Client, engine: str, card: ModelCard, settings: Settings
) -> VerdictStore:
    return VerdictStore(redis, engine, card.hash, settings.schema_compile_ms / 1000)
