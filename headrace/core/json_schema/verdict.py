"""Result of the trial of one JSON schema."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

MOST_STEP_S = 0.01
"""CPU time that a grammar may take for a token: all rows of a step wait for it."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`compile_s` is the CPU time of the grammar's compiler; `refusal` its reason to give up.

    `step_s` is the CPU time that the grammar took for a token. A trial that was broken off after
    `compile_s` is not `is_whole`.
    """

    compile_s: float
    step_s: float = 0.0
    refusal: str | None = None
    is_whole: bool = True

    def says_nothing(self, most_s: float) -> bool:
        """Whether the trial was broken off before `most_s`, the time that is allowed now."""
        return not self.is_whole and self.compile_s < most_s

    def complaint(self, most_s: float) -> str | None:
        """Why no output may be held to the schema; None where it may."""
        if self.refusal is not None:
            return self.refusal
        if self.compile_s >= most_s:
            return f"its grammar takes {most_s:g} s of CPU time or more"
        if self.step_s > MOST_STEP_S:
            took_ms, most_ms = round(self.step_s * 1000), round(MOST_STEP_S * 1000)
            return f"its grammar takes {took_ms} ms of CPU time a token, at most {most_ms}"
        return None

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def decode(text: str | bytes) -> Verdict:
        """Fields that later versions add are passed over."""
        fields = json.loads(text)
        return Verdict(**{name: fields[name] for name in Verdict.__slots__ if name in fields})
