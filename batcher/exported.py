"""exported.json: how a folder of safetensors was exported for OpenVINO, kept with the result."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

EXPORTED = "exported-1.json"
"""Another number for each way of exporting."""

FORMS = ("int8", "int8_blocks", "bfloat16")
"""Forms of the weights, the most compressed first: a later one is nearer to the model."""


@dataclass(frozen=True, slots=True)
class Exported:
    """`context_tokens` is the setting that it was exported for; None where it does not matter.

    It matters for rotary frequencies that depend on it, and for attention windows.
    """

    form: str
    context_tokens: int | None = None

    @property
    def next_form(self) -> str | None:
        """The next less compressed form; None behind the last one."""
        later = FORMS[FORMS.index(self.form) + 1 :]
        return later[0] if later else None

    @property
    def name(self) -> str:
        """Returns what distinguishes its answers from those of another export."""
        return self.form if self.context_tokens is None else f"{self.form}@{self.context_tokens}"

    def serves(self, context_tokens: int) -> bool:
        """Whether it can be used with this setting."""
        return self.context_tokens in (None, context_tokens)

    def write(self, folder: Path) -> None:
        (folder / EXPORTED).write_text(json.dumps(asdict(self)))

    @classmethod
    def read(cls, folder: Path) -> Self | None:
        """Reads the folder; returns None where it holds no export of this version."""
        try:
            found = cls(**json.loads((folder / EXPORTED).read_text()))
        except (OSError, ValueError, TypeError):
            return None
        return found if found.form in FORMS else None
