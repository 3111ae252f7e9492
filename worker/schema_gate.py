"""Jobs whose JSON schema nobody has tried yet wait here, outside of the engine."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from headrace.core.connection import Client
from headrace.core.json_schema.cost import complaint_about
from headrace.core.json_schema.verdict_store import VerdictStore, make_verdict_store
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings
from headrace.core.types import Feature, Request, Room
from worker.engine_port import EnginePort

REMEMBERED = 256
"""Schemas whose verdict a worker does not read again."""


class SchemaGate(Protocol):
    """Stands between a worker's claims and its engine."""

    def __len__(self) -> int:
        """How many jobs wait."""

    def hold(self, request: Request) -> bool:
        """Whether the request has to wait; then `decided` names it when its wait is over."""

    def decided(self, running: Collection[str]) -> list[tuple[str, str | None]]:
        """Jobs whose wait is over, each with what speaks against its schema, or None.

        A job that is not among the `running` ones any more is forgotten.
        """

    def room(self, free: Room) -> Room:
        """The part of the engine's free room that no job waits for."""


class NoGate:
    """For engines that hold output to no schema: they refuse such requests themselves."""

    def __len__(self) -> int:
        return 0

    def hold(self, request: Request) -> bool:
        return False

    def decided(self, running: Collection[str]) -> list[tuple[str, str | None]]:
        return []

    def room(self, free: Room) -> Room:
        return free


class TrialGate:
    """Lets a job in when a helper has compiled its schema's grammar: no engine can break off."""

    def __init__(self, verdicts: VerdictStore) -> None:
        self._verdicts = verdicts
        self._waiting: dict[str, Request] = {}
        self._complaints: dict[str, str | None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def hold(self, request: Request) -> bool:
        schema = request.sampling.json_schema
        self._waiting.pop(request.id, None)  # an earlier attempt of the same job
        if schema is None or self._complaints.get(schema, "") is None:
            return False
        self._waiting[request.id] = request
        if (complaint := complaint_about(schema)) is not None:
            self._remember(schema, complaint)
        return True

    def decided(self, running: Collection[str]) -> list[tuple[str, str | None]]:
        self._waiting = {name: self._waiting[name] for name in self._waiting if name in running}
        schemas = {name: held.sampling.json_schema or "" for name, held in self._waiting.items()}
        unknown = sorted(set(schemas.values()) - self._complaints.keys())
        if unknown:
            self._look(unknown)
        over = [name for name, schema in schemas.items() if schema in self._complaints]
        for name in over:
            del self._waiting[name]
        return [(name, self._complaints[schemas[name]]) for name in over]

    def room(self, free: Room) -> Room:
        tokens = sum(request.kept_tokens(0) for request in self._waiting.values())
        return Room(max(0, free.slots - len(self)), max(0, free.tokens - tokens))

    def _look(self, schemas: Sequence[str]) -> None:
        """Reads what was decided about the schemas, and asks about the others."""
        decided = self._verdicts.complaints(schemas)
        for schema, complaint in decided.items():
            self._remember(schema, complaint)
        untried = [schema for schema in schemas if schema not in decided]
        if untried:
            self._verdicts.ask(untried)

    def _remember(self, schema: str, complaint: str | None) -> None:
        self._complaints[schema] = None if complaint is None else f"json_schema: {complaint}"
        if len(self._complaints) > REMEMBERED:
            del self._complaints[next(iter(self._complaints))]


def make_schema_gate(
    redis: Client, engine: EnginePort, card: ModelCard, settings: Settings
) -> SchemaGate:
    """The gate that this engine needs."""
    if Feature.JSON_SCHEMA not in engine.features:
        return NoGate()
    return TrialGate(make_verdict_store(redis, engine.name, card, settings))
