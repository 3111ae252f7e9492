from __future__ import annotations

from headrace.core.readings.alert import Alert
from headrace.monitor.alerts import SILENCED, SUMMARIES, Alerts


def course(*each: dict[str, str]) -> tuple[Alerts, list[list[tuple[str, bool]]]]:
    """What changed at each second: the name, and whether it was raised."""
    alerts, changes = Alerts({}), []
    for second, problems in enumerate(each):
        alerts, changed = alerts.after(problems, float(second))
        changes.append([(alert.name, alert.until is None) for alert in changed])
    return alerts, changes


def test_an_alert_is_raised_once_and_cleared_once() -> None:
    down = {"HeadraceApiDown": "refused"}
    alerts, changes = course({}, down, down, {}, {})

    assert changes == [[], [("HeadraceApiDown", True)], [], [("HeadraceApiDown", False)], []]
    assert not alerts.active


def test_an_alert_says_since_when_and_until_when() -> None:
    _alerts, changed = Alerts({}).after({"HeadraceApiDown": "refused"}, 5.0)
    assert changed == [
        Alert("HeadraceApiDown", "page", "the API does not answer", "refused", since=5.0)
    ]
    later, ended = Alerts({"HeadraceApiDown": changed[0]}).after({}, 9.0)
    assert (ended[0].since, ended[0].until, later.active) == (5.0, 9.0, {})
    assert Alert.decode(ended[0].encode().encode()) == ended[0]


def test_without_redis_nothing_else_is_told_of() -> None:
    everything = {name: "wrong" for name in SUMMARIES if name != "HeadraceApiDown"}
    _alerts, changes = course(everything)

    assert changes == [[("HeadraceRedisDown", True)]]


def test_a_silenced_alert_is_neither_raised_nor_cleared() -> None:
    late, none = {"HeadraceLatencyHigh": "2 s"}, {"HeadraceNoWorkers": "none"}
    _alerts, changes = course(late, none, late | none, late)

    assert changes == [
        [("HeadraceLatencyHigh", True)],
        [("HeadraceNoWorkers", True)],
        [],
        [("HeadraceNoWorkers", False)],
    ]


def test_only_alerts_that_there_are_silence_and_are_silenced() -> None:
    for name, silenced in SILENCED.items():
        assert {name, *silenced} <= SUMMARIES.keys()
