"""Alerts on their way to a webhook and to Alertmanager."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from structlog.testing import capture_logs

from headrace.core.readings.alert import Alert
from headrace.core.settings import Settings
from headrace.monitor.delivery import REPEAT_S, Delivery
from headrace.monitor.sinks import Alertmanager, Webhook, make_sinks
from tests.fakes import FakeClock
from tests.unit.monitor.receiver import Receiver, receiver

RAISED = Alert("HeadraceApiDown", "page", "the API does not answer", "refused", 1_764_000_000.0)
CLEARED = replace(RAISED, until=1_764_000_060.0)


@pytest.fixture
def ear() -> Iterator[Receiver]:
    with receiver() as found:
        yield found


def test_a_webhook_hears_of_each_change_once(ear: Receiver) -> None:
    delivery = Delivery(Webhook(ear.url + "/hook"), FakeClock())
    delivery.hand_in([RAISED], [RAISED])
    delivery.turn()
    delivery.turn()
    delivery.hand_in([CLEARED], [])
    delivery.turn()

    [(path, raised), (_path, cleared)] = ear.heard
    assert path == "/hook"
    assert (raised["status"], raised["alert"], raised["until"]) == ("raised", RAISED.name, None)
    assert raised["runbook"] == "docs/operations.md#headraceapidown"
    assert (cleared["status"], cleared["until"]) == ("cleared", "2025-11-24T16:01:00+00:00")


def test_what_was_not_heard_is_told_again_in_its_order(ear: Receiver) -> None:
    delivery = Delivery(Webhook(ear.url), FakeClock())
    ear.is_deaf = True
    delivery.hand_in([RAISED], [RAISED])
    with capture_logs() as logs:
        delivery.turn()
        delivery.hand_in([CLEARED], [])
        delivery.turn()
    assert [line["event"] for line in logs] == ["alerts are not heard"]
    ear.is_deaf = False
    delivery.turn()

    assert [body["status"] for _path, body in ear.heard] == ["raised", "cleared"]


def test_alertmanager_is_told_of_what_is_active_again_and_again(ear: Receiver) -> None:
    clock = FakeClock()
    delivery = Delivery(Alertmanager(ear.url + "/"), clock)
    delivery.hand_in([RAISED], [RAISED])
    delivery.turn()
    delivery.turn()
    clock.sleep(REPEAT_S)
    delivery.turn()
    delivery.hand_in([CLEARED], [])
    delivery.turn()
    clock.sleep(REPEAT_S)
    delivery.turn()

    assert [path for path, _body in ear.heard] == ["/api/v2/alerts"] * 3
    [first, again, last] = [body[0] for _path, body in ear.heard]
    assert first == again
    assert first["labels"]["alertname"] == "HeadraceApiDown"
    assert first["labels"]["severity"] == "page"
    assert "endsAt" not in first
    assert last["endsAt"] == "2025-11-24T16:01:00+00:00"


def test_settings_say_who_hears() -> None:
    assert make_sinks(Settings()) == []
    both = Settings(alert_webhook_url="http://a/hook", alertmanager_url="http://b:9093")
    assert [type(sink) for sink in make_sinks(both)] == [Webhook, Alertmanager]
