"""How `python -m worker` ends where it cannot start."""

from __future__ import annotations

from pathlib import Path

import pytest

from batcher.model_store import PreparedModel
from batcher.simulated import SimulatedEngine
from headrace.core.errors import (
    CANNOT_EVER,
    EngineError,
    HeadraceError,
    ModelError,
    SettingsError,
    Unavailable,
)
from headrace.core.settings import Settings
from tests.engine_thread import threads_of
from tests.fakes import CARD
from worker import __main__ as worker
from worker.engine_port import LocalEngine
from worker.engine_process.client import EngineProcess


def ending(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> tuple[object, str]:
    """Exit code and what people read, of a worker whose start raises this."""

    def serve(settings: object, name: str) -> None:
        raise error

    monkeypatch.setattr("sys.argv", ["worker"])
    monkeypatch.setattr(worker, "serve", serve)
    monkeypatch.setattr(worker.signal, "signal", lambda *_: None)
    monkeypatch.setattr(worker, "configure_logging", lambda *_: None)
    with pytest.raises(SystemExit) as ended:
        worker.main()
    return ended.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ModelError("model m is quantised with GPTQ"), CANNOT_EVER),
        (SettingsError("REDIS_URL: a worker needs the queue's Redis"), CANNOT_EVER),
        (Unavailable("Redis is away"), 1),
        (EngineError("out of memory"), 1),
    ],
)
def test_its_exit_code_says_whether_a_second_start_can_help(
    error: HeadraceError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert ending(error, monkeypatch, capsys) == (code, f"worker: {error}\n")


def test_an_engine_may_stay_in_the_workers_own_process(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    model = PreparedModel("simulated", Path("/models/tiny"), CARD)
    monkeypatch.setattr(worker, "load", lambda *_: (model, SimulatedEngine(settings, CARD)))
    inside = settings.model_copy(update={"engine_process": False})

    engine, found = worker.start_engine(inside, "worker-1")
    assert isinstance(engine, LocalEngine)
    assert (found.card, found.path) == (CARD, model.path)


def test_an_engine_has_a_process_of_its_own_otherwise(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setattr(worker, "launcher", lambda _name: threads_of(make_engine, CARD))

    def make_engine() -> SimulatedEngine:
        return SimulatedEngine(settings, CARD)

    engine, found = worker.start_engine(settings, "worker-1")
    assert isinstance(engine, EngineProcess)
    assert found.card.hash == CARD.hash
    engine.close()
