"""Peers behave as their documentation says, in cases that can be counted by hand."""

from __future__ import annotations

from bench.autoscale.hpa import HpaRunning, KedaList
from bench.autoscale.serving import Knative, RayServe, SqsBacklog
from headrace.planning.view import View


def view(now: float, waiting: int = 0, running: int = 0, ready: int = 1, desired: int = 0) -> View:
    return View(now, waiting, running, ready, desired or ready)


def test_keda_asks_for_a_worker_for_each_five_that_wait_four_more_at_a_time() -> None:
    keda = KedaList()

    assert keda.size(view(0, waiting=12)) == 3
    assert keda.size(view(15, waiting=500, ready=3)) == 7
    assert keda.size(view(30, waiting=500, ready=7)) == 14


def test_keda_forgets_what_runs_once_its_window_is_over() -> None:
    keda = KedaList()
    keda.size(view(0, waiting=20, running=32, ready=4))

    assert keda.size(view(285, running=128, ready=4)) == 4
    assert keda.size(view(315, running=128, ready=4)) == 1


def test_within_a_tenth_of_its_target_the_hpa_does_nothing() -> None:
    assert KedaList().size(view(0, waiting=21, ready=4)) == 4
    assert HpaRunning(20).size(view(0, running=84, ready=4)) == 4
    assert HpaRunning(20).size(view(0, running=100, ready=4)) == 5


def test_pods_that_are_not_ready_count_as_idle_when_the_hpa_would_grow() -> None:
    assert HpaRunning(20).size(view(0, running=60, ready=2, desired=4)) == 4


def test_knative_panics_at_twice_its_pods_and_shrinks_after_a_minute() -> None:
    knative = Knative(slots=10)

    assert knative.size(view(0, waiting=20, running=10)) == 5
    assert knative.size(view(50, ready=5)) == 5
    assert knative.size(view(70, ready=5)) == 2


def test_ray_serve_waits_thirty_seconds_before_it_grows() -> None:
    ray = RayServe(target=10)
    sizes = [ray.size(view(now, running=40)) for now in range(0, 34, 2)]

    assert sizes == [1] * 15 + [4] * 2


def test_sqs_grows_after_three_minutes_and_shrinks_after_fifteen() -> None:
    sqs = SqsBacklog(target=2)

    assert [sqs.size(view(60 * n, waiting=8)) for n in range(3)] == [1, 1, 4]
    assert [sqs.size(view(60 * n, ready=4)) for n in range(3, 18)][-2:] == [4, 1]
