from __future__ import annotations

from prometheus_client import CollectorRegistry, generate_latest

from headrace.core.readings.alert import Alert
from headrace.core.readings.slo_course import Sample, SloCourse
from headrace.core.settings import Settings
from headrace.monitor.alerts import SUMMARIES
from headrace.monitor.canary import Flight
from headrace.monitor.own_metrics import MonitorCollector
from headrace.monitor.prober import Probed, Prober
from headrace.monitor.probes import Target
from headrace.monitor.sight import Sight
from tests.fakes import FakeClock

NOW = 1_764_000_000.0


class Silent:
    def problem(self) -> str | None:
        raise NotImplementedError


def text_of(sight: Sight) -> list[str]:
    registry = CollectorRegistry()
    registry.register(MonitorCollector(sight, Settings()))
    return generate_latest(registry).decode().splitlines()


def test_a_monitor_that_has_just_begun_says_what_it_knows() -> None:
    lines = text_of(Sight(NOW, {"redis": Prober(Silent(), FakeClock())}))

    assert "headrace_slo_objective 0.99" in lines
    assert "headrace_slo_latency_seconds 1.0" in lines
    assert 'headrace_canary_total{outcome="late"} 0.0' in lines
    assert sum(line.startswith("headrace_alert_active{") for line in lines) == len(SUMMARIES)
    absent = ("probe_up", "canary_ttft", "slo_burn_rate", "slo_budget_left")
    assert not [line for line in lines if line.startswith(tuple(f"headrace_{n}" for n in absent))]


def test_what_it_has_seen_stands_in_its_metrics() -> None:
    targets: tuple[Target, ...] = ("redis", "api-live")
    sight = Sight(NOW, {target: Prober(Silent(), FakeClock()) for target in targets})
    sight.probers["redis"].last = Probed(None, 0.002, was_well=True)
    sight.probers["api-live"].last = Probed("refused", 0.5, was_well=True)
    sight.aviary.note(Flight("late", 1.5), NOW)
    sight.active = {"HeadraceApiDown": Alert("HeadraceApiDown", "page", "", "", NOW)}
    sight.course, sight.totals = SloCourse(), Sample(NOW + 60, 200, 199, 1)
    sight.course.add(Sample(NOW, 0, 0, 0))
    lines = text_of(sight)

    assert 'headrace_probe_up{target="redis"} 1.0' in lines
    assert 'headrace_probe_up{target="api-live"} 0.0' in lines
    assert 'headrace_probe_seconds{target="redis"} 0.002' in lines
    assert "headrace_canary_ttft_seconds 1.5" in lines
    assert 'headrace_alert_active{alert="HeadraceApiDown",severity="page"} 1.0' in lines
    assert 'headrace_alert_active{alert="HeadraceRedisDown",severity="page"} 0.0' in lines
    values = dict(line.rsplit(" ", 1) for line in lines if line.startswith("headrace_slo"))
    assert round(float(values['headrace_slo_burn_rate{window="5m"}']), 3) == 0.5
    assert round(float(values["headrace_slo_budget_left"]), 3) == 0.5
