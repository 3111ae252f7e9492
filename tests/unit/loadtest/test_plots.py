"""Figures hold the numbers of the report; what it does not say is not drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from headrace.loadtest.loads import Load, TraceLoad
from headrace.loadtest.plots import (
    Plot,
    goodput_against_rate,
    latency_against_throughput,
    latency_distribution,
    plots,
    queue_and_workers,
    ramp,
    stage_stack,
)
from headrace.loadtest.ramp import Ramp
from headrace.loadtest.traces.arrival import Arrival
from tests.load import closed, constant
from tests.reports import a_report, a_report_with_a_fleet
from tests.unit.loadtest.making import SERVER, a_failure, a_record, a_result, one_after_another


@pytest.fixture(scope="module")
def with_a_fleet() -> dict[str, Any]:
    return a_report_with_a_fleet(seconds=12.0)


def drawn(plot: Plot | None) -> dict[str, Any]:
    """Its traces by name."""
    assert plot is not None
    return {trace.name: trace for trace in plot.figure.data}


def column(report: dict[str, Any], *path: str) -> tuple[Any, ...]:
    """A field of all levels."""
    found = report["levels"]
    for name in path:
        found = [each[name] for each in found]
    return tuple(found)


def test_latencies_stand_over_the_throughput_with_their_intervals(
    with_a_fleet: dict[str, Any],
) -> None:
    p95 = drawn(latency_against_throughput(with_a_fleet))["p95"]
    assert p95.x == column(with_a_fleet, "throughput_per_s")
    assert p95.y == column(with_a_fleet, "e2e_s", "p95", "value")
    assert p95.text == ("1", "5", "15", "30")
    above = [y + error for y, error in zip(p95.y, p95.error_y.array, strict=True)]
    below = [y - error for y, error in zip(p95.y, p95.error_y.arrayminus, strict=True)]
    assert above == pytest.approx(column(with_a_fleet, "e2e_s", "p95", "high"))
    assert below == pytest.approx(column(with_a_fleet, "e2e_s", "p95", "low"))


def test_a_p99_is_drawn_where_it_is_supported() -> None:
    report = a_report(a_result(), a_result(one_after_another(300), load=closed(2)))
    found = drawn(latency_against_throughput(report))
    assert len(found["p50"].x) == 2
    assert [name.rstrip("!") for name in found["p99"].text] == ["2"]


def test_a_level_that_is_not_valid_is_hollow_and_marked() -> None:
    report = a_report(a_result(), a_result(load=closed(5)))
    p50 = drawn(latency_against_throughput(report))["p50"]
    assert p50.text == ("1", "5!")
    assert p50.marker.symbol == ("circle", "circle-open")


def test_the_stages_are_stacked_means(with_a_fleet: dict[str, Any]) -> None:
    plot = stage_stack(with_a_fleet)
    found = drawn(plot)
    assert list(found) == ["tokenize", "queue wait", "prefill", "decode", "commit", "delivery"]
    assert found["queue wait"].y == column(with_a_fleet, "stages_s", "queue_wait", "mean")
    assert plot is not None and plot.figure.layout.barmode == "stack"


def test_a_distribution_is_that_of_answers_that_were_measured() -> None:
    records = [
        a_record(0.0, 9.0, measured=False),
        a_record(10.0, 3.0),
        a_record(13.0, 1.0),
        a_failure(14.0, done=15.0),
        a_record(15.0, 2.0),
    ]
    curve = drawn(latency_distribution(a_report(a_result(records))))["1!"]
    assert curve.x == (1.0, 1.0, 2.0, 3.0)
    assert curve.y == pytest.approx((0, 100 / 3, 200 / 3, 100))


def test_a_distribution_of_many_answers_keeps_its_ends() -> None:
    records = [a_record(float(number), 1 + number / 5000) for number in range(5000)]
    curve = drawn(latency_distribution(a_report(a_result(records))))["1!"]
    assert len(curve.x) <= 1001
    assert (curve.x[0], curve.x[-1]) == (1.0, 1.9998)
    assert (curve.y[1], curve.y[-1]) == (pytest.approx(0.02), 100)


def test_the_slo_is_a_line_where_all_answers_are_as_long() -> None:
    plot = latency_distribution(a_report(a_result()))
    assert drawn(plot)["SLO 1.6 s"].x == (1.6, 1.6)
    assert plot is not None and "right of the dashed line broke the SLO" in plot.caption


def test_the_slo_is_said_where_it_depends_on_the_answer() -> None:
    records = [a_record(float(number), output_tokens=4 + number % 2) for number in range(20)]
    plot = latency_distribution(a_report(a_result(records)))
    assert list(drawn(plot)) == ["1"]
    assert plot is not None and "good is within 1 s + 0.15 s a token" in plot.caption


def test_goodput_stands_over_the_load_beside_the_diagonal(with_a_fleet: dict[str, Any]) -> None:
    found = drawn(goodput_against_rate(with_a_fleet))
    assert found["good"].x == column(with_a_fleet, "offered_per_s")
    assert found["good"].y == column(with_a_fleet, "goodput", "slo", "per_s")
    assert found["good"].customdata == column(with_a_fleet, "goodput", "slo", "share")
    assert found["all good"].x == found["all good"].y == (0, max(found["good"].x))


def test_queue_and_workers_stand_level_behind_level(with_a_fleet: dict[str, Any]) -> None:
    plot = queue_and_workers(with_a_fleet)
    found = drawn(plot)
    assert list(found) == ["waiting", "running", "workers", "starting"]
    first, last = with_a_fleet["levels"][0], with_a_fleet["levels"][-1]
    waiting = found["waiting"]
    assert waiting.x[:12] == tuple(first["fleet"]["at_s"])
    assert waiting.x[12] is None
    assert waiting.x[-2] == last["began_s"] + last["fleet"]["at_s"][-1]
    assert waiting.y[-13:-1] == tuple(last["fleet"]["waiting"])
    assert plot is not None
    windows = [(shape.x0, shape.x1) for shape in plot.figure.layout.shapes]
    assert windows == [(at, at + 12.0) for at in column(with_a_fleet, "began_s")]


def names(report: dict[str, Any]) -> list[str]:
    return [plot.name for plot in plots(report)]


def test_a_report_with_everything_has_all_plots(with_a_fleet: dict[str, Any]) -> None:
    assert names(with_a_fleet) == ["latency", "distribution", "stages", "goodput", "fleet"]


def test_what_the_server_does_not_show_is_not_drawn() -> None:
    assert names(a_report(a_result())) == ["latency", "distribution", "goodput"]


def test_stages_of_some_levels_are_drawn() -> None:
    report = a_report(a_result(), a_result(one_after_another(20, server=SERVER), load=closed(5)))
    assert drawn(stage_stack(report))["decode"].x == ("5!",)


def test_levels_without_an_answer_have_their_goodput_alone() -> None:
    failed = a_result([a_failure(float(number)) for number in range(20)])
    assert names(a_report(failed)) == ["goodput"]
    assert names(a_report(failed, a_result())) == ["latency", "distribution", "goodput"]


@pytest.mark.parametrize("load", [constant(2), TraceLoad([Arrival(0.0, 8, 4)], 1.0)])
def test_open_loops_and_traces_are_drawn_as_well(load: Load) -> None:
    assert names(a_report(a_result(load=load))) == ["latency", "distribution", "goodput"]


def test_every_plot_has_units_a_caption_of_one_sentence_and_is_json(
    with_a_fleet: dict[str, Any],
) -> None:
    for plot in plots(with_a_fleet):
        assert plot.title and plot.caption.endswith(".") and ". " not in plot.caption
        assert plot.figure.layout.xaxis.title.text and plot.figure.layout.yaxis.title.text
        json.dumps(plot.figure.to_plotly_json(), allow_nan=False)


def test_a_label_is_no_markup() -> None:
    report = a_report(a_result())
    report["levels"][0]["level"] = "<b>1</b>"
    assert drawn(latency_against_throughput(report))["p50"].text == ("&lt;b&gt;1&lt;/b&gt;",)


def test_a_level_that_ran_several_times_is_one_point_of_its_medians() -> None:
    runs = [
        replace(a_result(one_after_another(20, e2e_s)), run=run)
        for run, e2e_s in enumerate((1.0, 1.3, 1.1), 1)
    ]
    found = drawn(latency_against_throughput(a_report(*runs)))["p50"]
    assert found.y == pytest.approx((1.1,))
    assert found.error_y.array[0] > 0.1
    half = [runs[0], replace(a_result([a_failure(0.0, done=1.0)]), run=2)]
    assert drawn(latency_against_throughput(a_report(*half)))["p50"].y == (1.0,)


def test_a_ramp_is_drawn_by_its_windows() -> None:
    load = closed(4, ramp=Ramp(1, after_s=0.0, seconds=20.0))
    found = drawn(ramp(a_report(a_result(one_after_another(20), load=load))))
    assert found["1:4! p50"].x == (1, 2, 3, 4)
    assert found["1:4! requests/s"].y == pytest.approx((1.0, 1.0, 1.0, 1.0))
