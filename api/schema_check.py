"""JSON schemas are tried by a worker before a job with them exists."""

from __future__ import annotations

import time

import gevent

from headrace.core.connection import Client
from headrace.core.errors import InvalidRequest, SchemaUndecided
from headrace.core.jobs import keys
from headrace.core.json_schema.grammar.unheld import Unheld
from headrace.core.json_schema.grammar.writing import grammar_of
from headrace.core.json_schema.verdict_store import VerdictStore, make_verdict_store
from headrace.core.model_card import ModelCard
from headrace.core.roster import Roster
from headrace.core.settings import Settings
from headrace.core.types import Feature

WAIT_S = 3.0
"""Longest wait for a verdict."""

FIRST_LOOK_S, LONGEST_LOOK_S = 0.01, 0.1
"""Pauses between two looks: most grammars take a few milliseconds."""

PARAM = "response_format.json_schema.schema"


class SchemaCheck:
    """Asks the workers of a model what they make of a schema, and waits for the verdict.

    Where none lives, it writes the grammar itself and refuses what has none.
    """

    def __init__(self, redis: Client, roster: Roster, settings: Settings) -> None:
        self._redis = redis
        self._roster = roster
        self._settings = settings

    def require(self, schema: str, card: ModelCard) -> None:
        """Returns where output may be held to the schema, as far as workers or its text show it.

        Raises `InvalidRequest`, or `SchemaUndecided` where no verdict comes in time.
        """
        engines = self._engines(card)
        if not engines:
            _require_grammar(schema)
        for engine in engines:
            store = make_verdict_store(self._redis, engine, card, self._settings)
            complaint = _wait(store, schema)
            if complaint is not None:
                raise InvalidRequest(f"{PARAM}: {complaint}", PARAM)

    def _engines(self, card: ModelCard) -> list[str]:
        """Engines of live workers that hold output to schemas, where any of them has this card."""
        workers = self._roster.workers()
        engines = {worker.engine for worker in workers if Feature.JSON_SCHEMA in worker.features}
        return sorted(engines) if self._redis.exists(keys.serving(card.hash)) else []


def _require_grammar(schema: str) -> None:
    """Writes the grammar in a thread: some take 0.3 s, and other callers go on meanwhile."""
    try:
        gevent.get_hub().threadpool.apply(grammar_of, (schema,))
    except Unheld as error:
        raise InvalidRequest(f"{PARAM}: {error}", PARAM) from None


def _wait(store: VerdictStore, schema: str) -> str | None:
    """Waits for the verdict, and returns the complaint about the schema or None."""
    until, pause_s = time.monotonic() + WAIT_S, FIRST_LOOK_S
    while schema not in (decided := store.complaints([schema])):
        if time.monotonic() >= until:
            raise SchemaUndecided(f"{PARAM}: its trial has not ended yet")
        store.ask([schema])
        gevent.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_LOOK_S)
    return decided[schema]
