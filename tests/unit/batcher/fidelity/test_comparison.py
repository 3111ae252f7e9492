"""What is said of two models that answer the same text."""

from __future__ import annotations

import numpy as np
import pytest

from batcher.fidelity.comparison import ROWS_AT_ONCE, compare, log_softmax

NUMBERS = np.random.default_rng(0)


def logits_of(places: int = 5, vocabulary: int = 7) -> np.ndarray:
    return NUMBERS.standard_normal((places, vocabulary)).astype(np.float32)


def test_a_model_is_no_way_from_itself() -> None:
    logits = logits_of()
    found = compare(log_softmax(logits), logits, [1, 2, 3, 4])
    assert found.kl == pytest.approx(0.0, abs=1e-6)
    assert found.top1 == 1.0
    assert found.perplexity_ratio == pytest.approx(1.0)


def test_a_constant_added_to_all_logits_of_a_place_changes_nothing() -> None:
    logits = logits_of()
    assert compare(log_softmax(logits), logits + 3.0, [0] * 4).kl == pytest.approx(0.0, abs=1e-6)


def test_divergence_is_that_of_the_textbook() -> None:
    reference = np.log(np.array([[0.5, 0.5], [0.9, 0.1]], np.float32))
    logits = np.log(np.array([[0.25, 0.75], [0.9, 0.1]], np.float32))
    found = compare(reference, logits, [0])
    first = 0.5 * np.log(0.5 / 0.25) + 0.5 * np.log(0.5 / 0.75)
    assert found.kl == pytest.approx(first / 2, rel=1e-5)
    assert found.top1 == 0.5
    assert found.perplexity_ratio == pytest.approx(2.0, rel=1e-5)


def test_a_long_text_is_read_in_parts_that_add_up() -> None:
    places = 2 * ROWS_AT_ONCE + 3
    logits, other = logits_of(places), logits_of(places)
    found = compare(log_softmax(logits), other, [1] * (places - 1))
    each = [compare(log_softmax(logits[i : i + 1]), other[i : i + 1], []) for i in range(places)]
    assert found.kl == pytest.approx(np.mean([one.kl for one in each]), rel=1e-4)
    assert found.top1 == pytest.approx(np.mean([one.top1 for one in each]))


def test_answers_that_are_no_numbers_are_infinitely_far() -> None:
    logits = logits_of()
    broken = logits.copy()
    broken[2, 3] = np.nan
    assert compare(log_softmax(logits), broken, [0] * 4).kl == np.inf


def test_models_of_other_vocabularies_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shape"):
        compare(log_softmax(logits_of()), logits_of(vocabulary=8), [0] * 4)
