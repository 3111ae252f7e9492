"""The thread that answers questions about JSON schemas, beside the worker's loop."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Protocol

import structlog

from batcher.engine import make_trial
from batcher.trial_process import TrialProcess
from headrace.core.connection import WORKER_TIMEOUT_S, connect
from headrace.core.json_schema.verdict_store import VerdictStore, make_verdict_store
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings
from headrace.core.types import Feature
from worker.engine_port import EnginePort

WAIT_S = 0.5
"""Longest wait for a question before the thread looks whether it is to end."""

STOP_S = 2.0

log = structlog.get_logger()


class Desk(Protocol):
    def start(self) -> None: ...

    def stop(self) -> None: ...


class NoDesk:
    """For engines that hold output to no schema."""

    def start(self) -> None:
        """Nobody asks."""

    def stop(self) -> None:
        """Nothing runs."""


class SchemaDesk(threading.Thread):
    """Takes one question after the other, has the schema tried, and writes the verdict."""

    def __init__(self, verdicts: VerdictStore, trial: TrialProcess) -> None:
        super().__init__(name="schema-desk", daemon=True)
        self._verdicts = verdicts
        self._trial = trial
        self._stopped = threading.Event()

    def run(self) -> None:
        self._trial.start()
        while not self._stopped.is_set():
            try:
                self.serve()
            except Exception as error:  # a failing trial never ends the thread
                log.warning("schema question missed", error=str(error))
                self._stopped.wait(WAIT_S)
        self._trial.close()

    def stop(self) -> None:
        """Ends the thread; one that waits for a trial ends with the process."""
        self._stopped.set()
        self.join(STOP_S)

    def serve(self) -> None:
        """Answers the next question, where one comes soon."""
        schema = self._verdicts.next_question(WAIT_S)
        if schema is None:
            return
        verdict = self._trial.judge(schema)
        if verdict is None:
            log.warning("schema trial ended without a verdict")
        else:
            self._verdicts.answer(schema, verdict)


def make_schema_desk(
    settings: Settings, engine: EnginePort, card: ModelCard, model_path: Path
) -> Desk:
    """The desk that this engine needs, with a connection of its own."""
    if settings.redis_url is None or Feature.JSON_SCHEMA not in engine.features:
        return NoDesk()
    redis = connect(settings.redis_url, WORKER_TIMEOUT_S)
    verdicts = make_verdict_store(redis, engine.name, card, settings)
    return SchemaDesk(verdicts, make_trial(settings, engine.name, card, model_path))
