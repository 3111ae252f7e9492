"""What became of the trial of one JSON schema."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Verdict:
    """`compile_s` is the CPU time of the grammar's compiler; `refusal` its reason to give up.

    A trial that was broken off after `compile_s` is not `is_whole`.
    """

    compile_s: float
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
            return f"its grammar takes {most_s:g} s of CPU time or more to compile"
        return None

    def encode(self) -> str:
        return json.dumps(asdict(self))

    @staticmethod
    def decode(text: str | bytes) -> Verdict:
        """Fields that later versions add are passed over."""
        fields = json.loads(text)
        return Verdict(**{name: fields[name] for name in Verdict.__slots__ if name in fields})
