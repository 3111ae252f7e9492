"""Which proxy a request goes through."""

from __future__ import annotations

import re

import pytest

from headrace.core.errors import SettingsError
from headrace.core.proxies import proxy_of

PROXY = "http://proxy.lan:3128"


def proxied(url: str, no_proxy: str = "", **variables: str) -> str | None:
    return proxy_of(url, {"HTTP_PROXY": PROXY, "NO_PROXY": no_proxy, **variables})


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "127.8.9.1:8000", "localhost", "LOCALHOST.:9093", "[::1]:4318", "0.0.0.0"),
        *("a.localhost", "[::ffff:127.0.0.1]", "[::]"),
    ],
)
def test_this_machine_is_asked_directly(host: str) -> None:
    assert proxied(f"http://{host}/x") is None


@pytest.mark.parametrize("host", ["example.com", "10.0.0.1:80", "localhost.example", "126.0.0.1"])
def test_others_through_the_proxy(host: str) -> None:
    assert proxied(f"http://{host}/x") == PROXY


@pytest.mark.parametrize(
    ("no_proxy", "host"),
    [
        ("*", "example.com"),
        ("a, example.com", "example.com"),
        ("example.com", "hooks.example.com:8443"),
        (".example.com", "hooks.example.com"),
        ("*.example.com", "hooks.example.com"),
        ("EXAMPLE.com.", "Example.COM"),
        ("example.com:8080", "example.com:8080"),
        ("alertmanager", "alertmanager:9093"),
        ("10.0.0.0/8", "10.1.2.3:9093"),
        ("10.1.2.3", "10.1.2.3"),
        ("fd00::/8", "[fd00::7]:80"),
        ("[fd00::7]:80", "[fd00::7]"),
        ("a b example.com", "example.com"),
    ],
)
def test_what_no_proxy_names_is_asked_directly(no_proxy: str, host: str) -> None:
    assert proxied(f"http://{host}/x", no_proxy) is None


@pytest.mark.parametrize(
    ("no_proxy", "host"),
    [
        ("example.com", "notexample.com"),
        ("example.com", "example.com.evil"),
        ("example.com:8080", "example.com"),
        ("10.0.0.0/8", "11.0.0.1"),
        ("10.0.0.0/99", "10.0.0.1"),
        ("1.2.3.4", "11.2.3.4"),
        (",", "example.com"),
        (".", "example.com"),
    ],
)
def test_and_nothing_else(no_proxy: str, host: str) -> None:
    assert proxied(f"http://{host}/x", no_proxy) == PROXY


def test_the_variables_are_read_as_curl_reads_them() -> None:
    lower = {"http_proxy": "other:1", "HTTP_PROXY": PROXY, "ALL_PROXY": PROXY}
    assert proxy_of("http://example.com", lower) == "http://other:1"
    assert proxy_of("https://example.com", lower) == PROXY
    assert proxy_of("https://example.com", {"HTTP_PROXY": PROXY}) is None
    assert proxy_of("http://example.com", {}) is None


def test_a_proxy_of_another_kind_is_refused_by_name_and_without_its_password() -> None:
    with pytest.raises(SettingsError, match=re.escape("HTTP_PROXY")) as refused:
        proxied("http://example.com", HTTP_PROXY="socks5://user:secret@proxy:1080")
    assert "NO_PROXY" in str(refused.value) and "secret" not in str(refused.value)
    assert proxied("http://127.0.0.1", HTTP_PROXY="socks5://proxy:1080") is None
