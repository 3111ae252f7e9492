"""What a scaler knows before the first step."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from headrace.core.errors import SettingsError
from headrace.core.settings import Settings
from headrace.core.step_sums import StepSums
from scaler.crew import cold_start
from scaler.mind import PolicyMind
from scaler.readings import Load, Member, Readings
from scaler.rules import Rules
from scaler.start_values import StartValues, read_start_values
from scaler.step_curve import StepCurve
from scaler.work import Work

START = StartValues(StepCurve(0.02, 0.001, 0.0), 32.0, 16.0, 16.0, 4.0)
RULES = Rules(slots=8, start=START)


def a_reading(**changes: Any) -> Readings:
    """A flood meets one worker, of which nothing is known yet."""
    flood = Load(64, 64 * 48.0)
    members = (Member(1, "ready", 60.0),)
    fields = {"at": 1000.0, "run_id": "a", "waiting": flood, "running": Load(), "arrived": Load()}
    more = {"completed": Load(), "steps": StepSums(), "p95_s": None, "members": members}
    return Readings(**fields | more | {"oldest_wait_s": 2.0} | changes)


def written(folder: Path, **changes: Any) -> Path:
    path = folder / "start.json"
    path.write_text(json.dumps(json.loads(START.encode()) | changes))
    return path


def test_what_was_written_is_read(tmp_path: Path) -> None:
    assert read_start_values(written(tmp_path)) == START


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"schema": "other"}, "schema"),
        ({"output_tokens": -1}, "output_tokens is -1"),
        ({"output_tokens": 0}, "takes no time"),
        ({"prompt_tokens": "many"}, "prompt_tokens is 'many'"),
        ({"curve": {"alpha": 0, "beta": 0, "gamma": 0}}, "takes no time"),
        ({"curve": {"alpha": 1}}, "curve|argument"),
        ({"more": 1}, "more"),
    ],
)
def test_what_cannot_be_is_refused_by_its_name(
    tmp_path: Path, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        read_start_values(written(tmp_path, **changes))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"HEADRACE_SCALER_START: .*nowhere.json"):
        read_start_values(tmp_path / "nowhere.json")


def test_a_worker_is_as_fast_as_said_until_steps_were_seen() -> None:
    speed = Work().speed(RULES)
    assert speed is not None
    assert speed.rows == 8
    tokens_a_job = (32 + 16) / 16
    assert speed.tokens_per_s == pytest.approx(8 / (0.02 + 8 * 0.001) * tokens_a_job)
    assert Work().speed(replace(RULES, start=None)) is None


def test_a_worker_starts_as_fast_as_said_until_one_did() -> None:
    assert cold_start(RULES, a_reading()) == 4.0
    assert cold_start(RULES, a_reading(cold_starts_s=(9.0,))) == 9.0


def test_a_new_scaler_does_not_flinch_from_a_flood_that_one_worker_clears(tmp_path: Path) -> None:
    """3,072 tokens at 857 a second; without start values it gives each job a slot."""
    settings = Settings(scaler_max=8, max_slots=8, scaler_fleet="kubernetes")
    flood = a_reading()
    knows = settings.model_copy(update={"scaler_start": written(tmp_path)})
    assert PolicyMind(settings, 1).decide(flood, 1000.0).size == 8
    assert PolicyMind(knows, 1).decide(flood, 1000.0).size == 1
