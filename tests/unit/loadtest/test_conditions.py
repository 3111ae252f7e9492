from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from headrace.core.version import version
from headrace.loadtest.conditions import conditions
from headrace.loadtest.fleet_watch import Moment, Watched
from headrace.loadtest.loads import Limits, Load, OpenLoad, TraceLoad
from headrace.loadtest.traces.arrival import Arrival
from tests.load import closed, constant
from tests.reports import a_report
from tests.unit.loadtest.making import a_result


@pytest.mark.parametrize(
    ("loads", "says"),
    [
        ([closed(1), closed(15)], "closed loop of 1, 15 users"),
        ([constant(0.5), constant(2)], "open loop of 0.5, 2 requests/s, constant arrivals"),
        ([OpenLoad(2, "gamma", 3.0, 0, 32, 4)], "open loop of 2 requests/s, gamma (cv 3) arrivals"),
        ([TraceLoad([Arrival(0.0, 8, 4)] * 5, 2.0)], "a trace of 5 requests at 2 x its speed"),
    ],
)
def test_the_load_is_said_in_words(loads: list[Load], says: str) -> None:
    report = a_report(*(a_result(load=load) for load in loads))
    assert conditions(report)["Load"] == says


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (Limits(5.0, 40.0, None), "5 s of warm-up, then 40 s"),
        (Limits(0.5, None, 300), "0.5 s of warm-up, then 300 requests"),
        (Limits(5.0, None, None), "5 s of warm-up, then the rest of the trace"),
    ],
)
def test_the_length_of_a_level_is_said(limits: Limits, says: str) -> None:
    assert conditions(a_report(a_result(), limits=limits))["Each level"] == says


def test_the_requests_are_said() -> None:
    words = conditions(a_report(a_result()))["Requests"]
    assert words == "random words, 32 tokens, answers of at most 4, temperature 0"
    file = a_report(a_result(), prompts_file=Path("some.txt"), repeat_prompts=True)
    says = "the same of prompts of some.txt, answers of at most 4, temperature 0"
    assert conditions(file)["Requests"] == says


def test_what_it_was_measured_with_is_said() -> None:
    said = conditions(a_report(a_result(), seed=7))
    assert (said["Headrace"], said["Seed"]) == (version(), "7")
    assert said["SLO"] == "within 1 s + 0.15 s a token, begun within 1 s"
    assert said["API"] == "stream, timeout 30 s"


def test_the_fleet_is_said_where_it_is_shown() -> None:
    moments = [Moment(float(at), 0, 1, workers, 0) for at, workers in enumerate((1, 3, 2))]
    shown = replace(a_result(), watched=Watched(moments, slots=8, engine="OpenVINOEngine"))
    server = conditions(a_report(a_result(), shown))["Server"]
    assert server == "OpenVINOEngine, 8 slots a worker; 1 to 3 workers"
    assert conditions(a_report(a_result()))["Server"] == "shows no fleet"
