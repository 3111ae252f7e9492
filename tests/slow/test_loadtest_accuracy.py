"""What is measured over HTTP, API, Redis and a worker is what the law of its engine says."""

from __future__ import annotations

import pytest

from headrace.loadtest.figures import Estimate
from headrace.loadtest.loads import Limits
from headrace.loadtest.quantiles import percentile
from tests.deployment import Deploy, Deployment
from tests.load import load_with_records, poisson
from tests.reference_queue import ReferenceQueue

REFERENCE = ReferenceQueue(slots=16, alpha_s=0.3, beta_s=0.002)
TOKENS = 3
RATES = (3.0, 8.0, 13.0)
"""Of 16 requests/s that the queue can serve."""

LIMITS = Limits(warmup_s=2.0, duration_s=16.0, requests=None)


@pytest.fixture
def deployment(deploy: Deploy) -> Deployment:
    return deploy(
        HEADRACE_ENGINE="simulated",
        HEADRACE_MAX_SLOTS=str(REFERENCE.slots),
        HEADRACE_SIMULATED_ALPHA_S=str(REFERENCE.alpha_s),
        HEADRACE_SIMULATED_BETA_S=str(REFERENCE.beta_s),
        HEADRACE_SIMULATED_GAMMA_S="0",
    )


def is_within_5_percent_beside(estimate: Estimate, expected: float) -> bool:
    return 0.95 * estimate.low <= expected <= 1.05 * estimate.high


@pytest.mark.timeout(200)
def test_latencies_are_those_of_the_law_at_low_middle_and_high_load(deployment: Deployment) -> None:
    loads = [poisson(rate, TOKENS) for rate in RATES]
    results, records = load_with_records(deployment.url, *loads, limits=LIMITS)
    for result, of_level in zip(results, records, strict=True):
        assert result.figures.errors == {}
        assert result.figures.e2e is not None
        expected = REFERENCE.latencies([record.scheduled for record in of_level], TOKENS)
        counted = sorted(
            latency for latency, record in zip(expected, of_level, strict=True) if record.measured
        )
        for percent in (50, 95):
            estimate = result.figures.e2e.percentiles[percent]
            assert is_within_5_percent_beside(estimate, percentile(counted, percent))
