"""How far an engine of others is from the model, and how fast it is: an entry of fidelity.json.

The engines are contenders of the engine benchmark. Each can be asked for the log-probabilities of
every token after each token of a text: llama.cpp for those of its second half.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from batcher.fidelity.comparison import Comparison, compare
from bench.engine_contender import Contender
from bench.engine_workloads import Workloads

LEVELS = (1, 32)
ROUNDS = 3


@dataclass(frozen=True)
class Passage:
    """`reference` gives the model's log-probabilities for ids: row N has those of what follows
    the N-th. An engine that tokenizes by itself may read other ids than `ids`."""

    text: str
    ids: Sequence[int]
    reference: Callable[[Sequence[int]], np.ndarray]


def measure(
    contender: Contender, passage: Passage, workloads: Workloads, folder: Path
) -> dict[str, float]:
    """`folder` takes a file of up to 240 MB meanwhile. Raises `RuntimeError`."""
    file = folder / f"{contender.name}.npy"
    reply = contender.ask(
        "log_probabilities", text=passage.text, ids=list(passage.ids), file=str(file)
    )
    found = np.load(file)
    file.unlink()
    places = slice(reply["first"], reply["first"] + reply["rows"])
    following = reply["ids"][places.start + 1 : places.stop + 1]
    reference = passage.reference(reply["ids"])[places]
    rates = {f"tokens_per_s_{rows}": _rate(contender, workloads, rows) for rows in LEVELS}
    return rounded(compare(reference, found, following)) | rates


def rounded(found: Comparison) -> dict[str, float]:
    """As it stands in the file."""
    return {
        "kl": round(found.kl, 6),
        "top1": round(found.top1, 4),
        "perplexity_ratio": round(found.perplexity_ratio, 4),
    }


def _rate(contender: Contender, workloads: Workloads, rows: int) -> float:
    runs = [contender.batch(workloads.equal(rows), rows) for _round in range(ROUNDS)]
    return round(statistics.median(run.tokens_per_s for run in runs), 1)
