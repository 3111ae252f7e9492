"""Histograms that several processes fill, as fields of one hash."""

from __future__ import annotations

from headrace.core.histogram import E2E, LATENCY_S, Histogram

SIZES = Histogram("sizes", (1, 2, 4))


def test_a_value_falls_into_the_first_bucket_that_reaches_it() -> None:
    fields = [SIZES.field(value) for value in (0.5, 1, 1.5, 4, 5)]

    assert fields == ["sizes:1.0", "sizes:1.0", "sizes:2.0", "sizes:4.0", "sizes:+Inf"]


def test_buckets_are_cumulated_for_prometheus() -> None:
    counts = {"sizes:1.0": 2, "sizes:4.0": 3, "sizes:+Inf": 1, "other:1.0": 9}

    assert SIZES.cumulated(counts) == [("1.0", 2), ("2.0", 2), ("4.0", 5), ("+Inf", 6)]


def test_a_sum_is_kept_in_millionths() -> None:
    assert SIZES.sum({"sizes:sum": 2_500_000}) == 2.5
    assert SIZES.sum({}) == 0.0


def test_a_bucket_stands_exactly_at_the_slo_of_one_second() -> None:
    assert 1.0 in LATENCY_S
    assert E2E.field(1.0) == "job_e2e_seconds:1.0"
