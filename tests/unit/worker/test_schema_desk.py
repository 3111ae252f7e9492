"""The thread that answers questions about schemas."""

from __future__ import annotations

from pathlib import Path

import pytest

from batcher.simulated import SimulatedEngine
from batcher.trial_process import TrialProcess
from headrace.core.connection import Client
from headrace.core.json_schema.verdict import Verdict
from headrace.core.json_schema.verdict_store import VerdictStore
from headrace.core.settings import Settings
from tests.fakes import CARD
from tests.waiting import eventually
from worker.engine_port import LocalEngine
from worker.schema_desk import NoDesk, SchemaDesk, make_schema_desk


class FakeTrial(TrialProcess):
    """Says nothing about the first schema, breaks at the second and has a verdict on the rest."""

    def __init__(self) -> None:
        super().__init__([], 2.0)
        self.tried: list[str] = []

    def start(self) -> None:
        """Starts no process."""

    def judge(self, schema: str) -> Verdict | None:
        self.tried.append(schema)
        if len(self.tried) == 2:
            raise OSError("no more processes")
        return Verdict(0.1) if len(self.tried) > 2 else None


@pytest.fixture
def verdicts(redis: Client) -> VerdictStore:
    return VerdictStore(redis, "Engine", CARD.hash, most_s=2.0)


def test_questions_are_answered_though_a_trial_breaks(
    redis: Client, verdicts: VerdictStore
) -> None:
    trial = FakeTrial()
    desk = SchemaDesk(VerdictStore(redis, "Engine", CARD.hash, most_s=2.0), trial)
    desk.start()
    verdicts.ask(["1", "2", "3", "4"])

    eventually(lambda: verdicts.complaints(["1", "2", "3", "4"]) == {"3": None, "4": None})
    desk.stop()
    assert trial.tried == ["1", "2", "3", "4"]
    assert not desk.is_alive()


def test_an_engine_that_holds_output_to_no_schema_has_no_desk(settings: Settings) -> None:
    engine = LocalEngine(SimulatedEngine(settings, CARD))
    desk = make_schema_desk(settings, engine, CARD, Path())
    assert isinstance(desk, NoDesk)
