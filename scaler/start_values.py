"""What is known of a worker before it has taken its first step: `headrace capacity` says it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

from headrace.core.errors import SettingsError
from scaler.step_curve import StepCurve

SCHEMA = "headrace.start-values/1"


@dataclass(frozen=True, slots=True)
class StartValues:
    """Seconds of a step, tokens of a mean job, and the seconds from spawn to ready.

    `allowed_tokens`: those that a job may produce at most; the queue counts with them.
    """

    curve: StepCurve
    prompt_tokens: float
    output_tokens: float
    allowed_tokens: float
    cold_start_s: float

    def encode(self) -> str:
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2) + "\n"


def read_start_values(path: Path) -> StartValues:
    """Raises `SettingsError`, naming file and field."""
    try:
        fields = json.loads(path.read_text())
        if fields.pop("schema") != SCHEMA:
            raise ValueError(f"its schema is not {SCHEMA}")
        values = StartValues(**fields | {"curve": StepCurve(**fields["curve"])})
    except (OSError, ValueError, TypeError, LookupError, AttributeError) as error:
        raise SettingsError(f"HEADRACE_SCALER_START: {path}: {error}") from error
    for name, number in _numbers(values).items():
        if not isinstance(number, int | float) or not isfinite(number) or number < 0:
            raise SettingsError(f"HEADRACE_SCALER_START: {path}: {name} is {number!r}")
    if values.curve.seconds(1, 0) <= 0 or values.output_tokens <= 0:
        raise SettingsError(f"HEADRACE_SCALER_START: {path}: a step, or a job, takes no time")
    return values


def _numbers(values: StartValues) -> dict[str, object]:
    fields = asdict(values)
    return {**{f"curve.{name}": value for name, value in fields.pop("curve").items()}, **fields}
