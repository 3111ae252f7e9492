"""A number that a benchmark is to reach, and whether it did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from rich.console import Console


@dataclass(frozen=True)
class Target:
    """`value` is what was measured; `at_most` or `at_least` says what it should be."""

    name: str
    value: float
    at_most: float | None = None
    at_least: float | None = None

    @property
    def is_met(self) -> bool:
        if self.at_most is not None and self.value > self.at_most:
            return False
        return self.at_least is None or self.value >= self.at_least

    @property
    def line(self) -> str:
        bound = f"at most {self.at_most:g}" if self.at_most is not None else ""
        bound += f"at least {self.at_least:g}" if self.at_least is not None else ""
        return f"{'met   ' if self.is_met else 'MISSED'} {self.name}: {self.value:g}, {bound}"

    def encode(self) -> dict[str, Any]:
        fields = {name: value for name, value in asdict(self).items() if value is not None}
        return fields | {"met": self.is_met}


def show(console: Console, targets: Sequence[Target]) -> None:
    for target in targets:
        console.print(target.line, style="green" if target.is_met else "red", highlight=False)
