from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from batcher.fidelity.comparison import compare
from bench.engine_contender import Batch, Contender
from bench.engine_workloads import QUICK, Prompt, Workloads
from bench.peer_fidelity import Passage, measure, rounded


def _log_softmax(logits: np.ndarray) -> np.ndarray:
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


@pytest.fixture
def passage() -> Passage:
    logits = np.random.default_rng(0).normal(size=(9, 9))
    return Passage("a text", [1, 2, 3, 4, 5, 6], lambda ids: _log_softmax(logits)[list(ids)])


class Echo(Contender):
    """Gives the reference's own figures for the second half of ids of its own."""

    def __init__(self, folder: Path, passage: Passage) -> None:
        super().__init__(Path("python"), "echo", folder / "echo.log")
        self._passage = passage

    def ask(self, action: str, **fields: Any) -> dict[str, Any]:
        assert (action, fields["text"]) == ("log_probabilities", "a text")
        ids = [8, 7, 6, 5, 4, 3]
        np.save(fields["file"], self._passage.reference(ids)[3:5])
        return {"first": 3, "rows": 2, "ids": ids}

    def batch(self, prompts: Any, concurrency: int) -> Batch:
        assert all(isinstance(prompt, Prompt) for prompt in prompts)
        return Batch(1, 10 * concurrency, 1.0, None, None)


def test_the_model_itself_has_no_distance(passage: Passage) -> None:
    reference = passage.reference(passage.ids)[:5]

    found = rounded(compare(reference, reference, passage.ids[1:]))

    assert found == {"kl": 0.0, "top1": 1.0, "perplexity_ratio": 1.0}


def test_another_model_is_less_certain_of_what_follows(passage: Passage) -> None:
    reference, even = passage.reference(passage.ids)[:5], np.full((5, 9), -np.log(9))
    following = reference.argmax(-1).tolist()

    found = rounded(compare(reference, even, following))

    expected = (np.exp(reference) * (reference + np.log(9))).sum(-1).mean()
    assert found["kl"] == pytest.approx(expected, abs=1e-6)
    assert found["perplexity_ratio"] > 1


def test_rows_are_compared_with_those_of_their_places(passage: Passage, tmp_path: Path) -> None:
    found = measure(Echo(tmp_path, passage), passage, Workloads(QUICK, 9), tmp_path)

    assert found == {
        "kl": 0.0,
        "top1": 1.0,
        "perplexity_ratio": 1.0,
        "tokens_per_s_1": 10.0,
        "tokens_per_s_32": 320.0,
    }
    assert not list(tmp_path.glob("*.npy"))
