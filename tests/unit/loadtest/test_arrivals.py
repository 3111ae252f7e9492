from __future__ import annotations

import math
import statistics
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.loadtest.arrivals import ARRIVALS, Arrivals, arrivals


def gaps(kind: Arrivals, cv: float = 2.0, seed: int = 0) -> list[float]:
    offsets = list(islice(arrivals(kind, rate=4.0, cv=cv, seed=seed), 20_000))
    return [later - earlier for earlier, later in pairwise(offsets)]


@pytest.mark.parametrize("kind", ARRIVALS)
def test_the_rate_is_kept_in_the_mean(kind: Arrivals) -> None:
    assert statistics.fmean(gaps(kind)) == pytest.approx(0.25, rel=0.05)


@pytest.mark.parametrize(("kind", "cv"), [("constant", 0.0), ("poisson", 1.0), ("gamma", 2.0)])
def test_gaps_vary_as_the_law_says(kind: Arrivals, cv: float) -> None:
    found = gaps(kind)
    assert statistics.stdev(found) / statistics.fmean(found) == pytest.approx(cv, abs=0.05)


@pytest.mark.parametrize("kind", ["poisson", "gamma"])
def test_a_seed_gives_the_same_arrivals_again(kind: Arrivals) -> None:
    assert gaps(kind, seed=3) == gaps(kind, seed=3)
    assert gaps(kind, seed=3) != gaps(kind, seed=4)


@given(st.sampled_from(ARRIVALS), st.floats(1e-3, 1e4), st.floats(0.01, 100), st.integers(0, 9))
def test_arrivals_never_go_back(kind: Arrivals, rate: float, cv: float, seed: int) -> None:
    offsets = list(islice(arrivals(kind, rate, cv, seed), 50))
    assert offsets[0] >= 0
    assert all(earlier <= later < math.inf for earlier, later in pairwise(offsets))
