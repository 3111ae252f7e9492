from __future__ import annotations

import pytest

from headrace.loadtest.figures import Figures, figures
from headrace.loadtest.record import Record
from headrace.loadtest.service_level import is_met
from tests.unit.loadtest.making import (
    SERVER,
    SLO,
    a_failure,
    a_measurement,
    a_record,
    one_after_another,
)


def figures_of(*records: Record, **changes: object) -> Figures:
    return figures(a_measurement(records, **changes), [SLO], seed=0)


def test_latencies_are_those_of_requests_sent_in_the_window() -> None:
    warm_up = a_record(0.0, e2e_s=9.0, measured=False)
    found = figures_of(warm_up, *one_after_another(10))
    assert found.requests == 10
    assert found.e2e is not None
    assert found.e2e.percentiles[99].value == pytest.approx(1.0)


def test_throughput_counts_what_ended_in_the_window() -> None:
    before = a_record(0.0, e2e_s=1.5, measured=False)
    after = a_record(4.0, e2e_s=9.0)
    found = figures_of(before, a_record(2.0), a_record(3.0), after, start=1.0, end=5.0)
    assert found.requests == 3
    assert found.throughput == 3 / 4
    assert found.output_tokens_per_s == 3 * 4 / 4
    assert found.input_tokens_per_s == 3 * 32 / 4


def test_failures_are_errors_and_never_latencies() -> None:
    found = figures_of(a_record(), a_failure(1.0, done=9.0), a_failure(2.0, error="timeout"))
    assert (found.requests, found.succeeded) == (3, 1)
    assert found.errors == {"http_503": 1, "timeout": 1}
    assert found.e2e is not None
    assert found.e2e.count == 1
    assert found.goodput["slo"].share == pytest.approx(1 / 3)


def test_good_is_within_the_latency_and_the_time_of_its_tokens() -> None:
    assert is_met(SLO, a_record(e2e_s=1.4, output_tokens=4))
    assert not is_met(SLO, a_record(e2e_s=1.5, output_tokens=4))
    assert not is_met(SLO, a_record(e2e_s=1.4, output_tokens=4, first_token=1.2))
    assert not is_met(SLO, a_failure())


def test_p99_is_not_supported_under_300_answers() -> None:
    few, many = figures_of(*one_after_another(299)), figures_of(*one_after_another(300))
    assert few.e2e is not None and not few.e2e.percentiles[99].supported
    assert few.e2e.percentiles[95].supported
    assert many.e2e is not None and many.e2e.percentiles[99].supported


def test_stages_and_batches_are_the_servers() -> None:
    found = figures_of(*one_after_another(4, server=SERVER))
    assert found.stages_s["decode"] == {50: 0.3, 95: 0.3}
    assert found.stages_s["delivery"][50] == pytest.approx(0.3)
    assert found.batch_size == 3.0


def test_a_server_without_jobs_has_no_stages() -> None:
    found = figures_of(*one_after_another(4))
    assert found.stages_s == {}
    assert found.batch_size is None


def test_what_only_the_server_knows_is_marked_as_its() -> None:
    unseen = one_after_another(4, server=SERVER, first_token=None, last_token=None)
    found = figures_of(*unseen)
    assert found.ttft is not None and found.ttft.source == "server"
    assert found.e2e is not None and found.e2e.source == "client"


def test_counted_chunks_are_noted() -> None:
    found = figures_of(*one_after_another(4, tokens_counted=True))
    assert found.notes == ["no usage from the server: its chunks are counted as tokens"]


def test_a_level_without_an_answer_has_no_latencies() -> None:
    found = figures_of(a_failure(), a_failure(1.0))
    assert (found.e2e, found.ttft, found.tpot) == (None, None, None)
    assert found.goodput["slo"].share == 0.0
