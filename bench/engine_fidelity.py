"""Which contenders compute the same model: only those are compared.

`make bench-fidelity` measures how far each engine is from the model as its file defines it, and
writes {"engines": {name: {"kl": nats a token, ...}}}. A contender that runs an engine's weights in
its library and number format has its figure.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

KL_LIMIT = 0.01
"""Nats a token. Engines up to here are alike."""


@dataclass(frozen=True)
class Fidelity:
    """`kl` by contender; those that nobody measured are not in it."""

    kl: Mapping[str, float]

    def objection(self, *names: str) -> str | None:
        """Why these must not be compared, None where they may."""
        for name in names:
            if name not in self.kl:
                return f"{name} is not measured: make bench-fidelity"
            if self.kl[name] > KL_LIMIT:
                return f"{name} is {self.kl[name]:g} nats a token from its model"
        return None


def read_fidelity(file: Path, torch_dtype: str) -> Fidelity:
    """That of all contenders; `torch_dtype` is what torch runs in here. No file: an empty one."""
    engines = json.loads(file.read_text())["engines"] if file.is_file() else {}
    found = {name: float(engine["kl"]) for name, engine in engines.items()}
    torch = f"torch_{torch_dtype}"
    sources = {"openvino_bare": "openvino", **dict.fromkeys(_TORCH, torch)}
    shared = {name: found[source] for name, source in sources.items() if source in found}
    return Fidelity(found | shared)


_TORCH = ("torch", "static", "generate_batch")
