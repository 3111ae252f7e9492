"""How `python -m worker` ends where it cannot start."""

from __future__ import annotations

import pytest

from headrace.core.errors import (
    CANNOT_EVER,
    EngineError,
    HeadraceError,
    ModelError,
    SettingsError,
    Unavailable,
)
from worker import __main__ as worker


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
