"""fidelity.json: what was measured of a prepared model, kept beside its weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from headrace.core.fidelity import Fidelity

RECORD = "fidelity.json"

PROBE_LENGTHS = (40, 280, 90)
"""About as many ids of the text a warm-up reads: the second prompt takes more than one step."""

PROBE_WINDOW = 24
"""So many lengths are tried for each: the one whose next token is the surest is taken."""


@dataclass(frozen=True, slots=True)
class Probe:
    """The model's most likely token behind the first `length` ids of the text.

    `logprob` is its own, `lead` how much more likely it is than the next one, in nats.
    """

    length: int
    token_id: int
    logprob: float
    lead: float


@dataclass(frozen=True, slots=True)
class Record:
    """`measured` is by engine, number format and versions of the libraries: see `key_of`."""

    measured: Mapping[str, Fidelity] = field(default_factory=dict)
    probes: tuple[Probe, ...] = ()

    def with_measured(self, key: str, fidelity: Fidelity) -> Self:
        return replace(self, measured={**self.measured, key: fidelity})

    def write(self, file: Path) -> None:
        """Whole or not at all."""
        fields = {
            "measured": {key: one.encode() for key, one in self.measured.items()},
            "probes": [astuple(probe) for probe in self.probes],
        }
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps(fields, indent=2))
        draft.replace(file)

    @classmethod
    def read(cls, file: Path) -> Self:
        """An empty one where there is none, or none that can be read."""
        try:
            fields = json.loads(file.read_text())
            measured = {key: Fidelity.decode(one) for key, one in fields["measured"].items()}
            probes = tuple(Probe(*each) for each in fields["probes"])
            return cls({key: one for key, one in measured.items() if one is not None}, probes)
        except (OSError, ValueError, KeyError, TypeError):
            return cls()


def probes_of(logprobs: NDArray[np.float32]) -> tuple[Probe, ...]:
    """`logprobs` [ids, vocabulary] are the model's own."""
    ends = dict.fromkeys(min(length, len(logprobs)) for length in PROBE_LENGTHS)
    return tuple(_surest(logprobs[:end], max(0, end - PROBE_WINDOW)) for end in ends)


def _surest(logprobs: NDArray[np.float32], start: int) -> Probe:
    """The probe among the places from `start` on whose first token leads the most."""
    second, first = np.sort(logprobs[start:], axis=-1)[:, -2:].T
    place = int((first - second).argmax())
    token_id = int(logprobs[start + place].argmax())
    lead = float(first[place] - second[place])
    return Probe(start + place + 1, token_id, float(first[place]), lead)


def key_of(engine: str, dtype: str, versions: Sequence[str]) -> str:
    return " ".join((engine, dtype, *versions))
