"""Every HTTP client of the project, under a proxy of the environment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler

import pytest

from headrace.cli.api_client import ApiClient
from headrace.core.clock import SystemClock
from headrace.core.errors import HeadraceError
from headrace.core.readings.alert import Alert
from headrace.core.tracing import close, make_provider
from headrace.loadtest.target import Address, open_target
from headrace.monitor.delivery import Delivery
from headrace.monitor.sinks import Alertmanager, Webhook
from tests.http_receiver import listening

ALERT = Alert("HeadraceApiDown", "page", "down", "it is down", 1.0)


def post_alert(url: str) -> None:
    Webhook(url).tell([ALERT], [])


def post_to_alertmanager(url: str) -> None:
    Alertmanager(url).tell([], [ALERT])


def send_span(url: str) -> None:
    provider = make_provider(url, "headrace-test", "1")
    provider.get_tracer("test").start_span("span").end()
    close(provider)


def ask_the_api(url: str) -> None:
    try:
        ApiClient(url).post("/v1/jobs", {})
    except HeadraceError as error:
        assert "does not speak" in str(error)


def send_load(url: str) -> None:
    async def ask() -> None:
        async with open_target(Address.parse(url), None) as target:
            (await target.session.post(f"{target.root}/v1/jobs", json={})).close()

    asyncio.run(ask())


CLIENTS = [post_alert, post_to_alertmanager, send_span, ask_the_api, send_load]


class Ear:
    """A server that counts what is posted to it."""

    url = ""
    heard = 0

    def hear(self, _request: BaseHTTPRequestHandler, _body: bytes) -> int:
        self.heard += 1
        return 200


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ear]:
    ear = Ear()
    with listening(ear.hear) as ear.url:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, ear.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield ear


@pytest.mark.parametrize("send", CLIENTS)
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_this_machine_is_asked_directly(proxy: Ear, send: Callable[[str], None], name: str) -> None:
    ear = Ear()
    with listening(ear.hear) as url:
        send(url.replace("127.0.0.1", name))

    assert (ear.heard, proxy.heard) == (1, 0)


@pytest.mark.parametrize("send", CLIENTS)
def test_another_one_through_the_proxy(proxy: Ear, send: Callable[[str], None]) -> None:
    send("http://headrace.invalid:8000")
    assert proxy.heard == 1


@pytest.mark.parametrize("send", [post_alert, post_to_alertmanager, send_span, ask_the_api])
def test_not_where_no_proxy_names_it(
    proxy: Ear, monkeypatch: pytest.MonkeyPatch, send: Callable[[str], None]
) -> None:
    monkeypatch.setenv("NO_PROXY", ".invalid")
    try:
        send("http://headrace.invalid:8000")
    except Exception as error:
        assert "proxy" not in str(error).lower()
    assert proxy.heard == 0


def test_an_alert_that_is_not_heard_does_not_tell_the_address_of_its_receiver() -> None:
    from structlog.testing import capture_logs

    def refuse(_request: BaseHTTPRequestHandler, _body: bytes) -> int:
        return 403

    with listening(refuse) as url, capture_logs() as logs:
        delivery = Delivery(Webhook(f"{url}/services/s3cret?key=s3cret"), SystemClock())
        delivery.hand_in([ALERT], [])
        delivery.turn()
    assert "s3cret" not in str(logs) and "403" in str(logs)
