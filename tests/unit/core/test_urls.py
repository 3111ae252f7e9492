"""URLs that hold passwords."""

from __future__ import annotations

import pytest

from headrace.core.connection import connect
from headrace.core.errors import SettingsError
from headrace.core.urls import fault_of, masked, masked_address

CUT_OFF = [
    ("redis://:zebra#quagga@host:6379/0", "#", "%23"),
    ("redis://me:zebra/quagga@host:6379/0", "/", "%2F"),
    ("rediss://:zebra?quagga@host:6379", "?", "%3F"),
    ("redis://:zebra[quagga@host:6379", "[", "%5B"),
    ("redis://:zebra]quagga@host:6379", "]", "%5D"),
    ("redis://:12345#zebra@host:6379", "#", "%23"),
    ("redis://:12345/zebra@host", "/", "%2F"),
    ("redis://:12345?zebra@host", "?", "%3F"),
    ("redis://:12345?db=zebra@host", "?", "%3F"),
    ("redis://zebra:12/quagga@host", "/", "%2F"),
    ("unix://:zebra#quagga@/tmp/redis.sock", "#", "%23"),
    ("unix://:zebra/quagga@/tmp/redis.sock", "/", "%2F"),
    ("redis://:a@zebra/quagga@host", "@", "%40"),
]
UNREADABLE = [
    "redis://host:zebra",
    "redis://host?password=zebra#quagga",
    "redis://host?password=zebra&quagga",
    "redis://host?zebra=quagga",
    "redis://host/zebra",
    "redis://:12345?zebra=quagga@host",
    "redis://:zebra\u2100quagga@host",  # its normal form holds a slash
    "redis://:zebra quagga@host",
    "zebra@host",
    "zebra:quagga@host:6379",
    "http://:zebra@host",
    "redis:zebra",
    "redis://",
    "",
]
LEAKS = ("zebra", "quagga", "12345")


@pytest.mark.parametrize(("url", "character", "encoded"), CUT_OFF)
def test_a_character_that_cuts_a_password_off_is_named(
    url: str, character: str, encoded: str
) -> None:
    with pytest.raises(SettingsError) as refused:
        connect(url, 0.1)
    message = str(refused.value)
    assert message.startswith("REDIS_URL: ")
    if "option" not in message:
        assert repr(character) in message and encoded in message
    assert encoded in message
    assert refused.value.__cause__ is None
    assert not [leak for leak in LEAKS if leak in message + masked(url)]


@pytest.mark.parametrize("url", UNREADABLE)
def test_what_cannot_be_read_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(SettingsError) as refused:
        connect(url, 0.1)
    assert not [leak for leak in LEAKS if leak in str(refused.value) + masked(url)]


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://host:6379/0", "redis://host:6379/0"),
        ("redis://:zebra@host:6379/0", "redis://:***@host:6379/0"),
        ("redis://me:zebra@host", "redis://me:***@host"),
        ("redis://me:ze:bra@host", "redis://me:***@host"),
        ("redis://zebra@host", "redis://***@host"),
        ("redis://:zeb%23ra@host", "redis://:***@host"),
        ("redis://:zebra@quagga@host", "redis://:***@host"),
        ("redis://host?password=zebra&db=3", "redis://host?password=***&db=3"),
        ("redis://host?password=ze@bra", "redis://host?password=***"),
        ("redis:///0", "redis:///0"),
        ("redis://:6379", "redis://:6379"),
        ("unix:///tmp/a@b/redis.sock", "unix:///tmp/a@b/redis.sock"),
        ("unix://me:zebra@/tmp/x.sock?db=1", "unix://me:***@/tmp/x.sock?db=1"),
        ("rediss://:zebra@[::1]:6379", "rediss://:***@[::1]:6379"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    connect(url, 0.1)
    assert masked(url) == shown


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.example/zebra/quagga", "https://hooks.example/***"),
        ("https://me:zebra@hooks.example?key=quagga", "https://me:***@hooks.example"),
        ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
    ],
)
def test_a_webhook_is_shown_by_its_host_alone(url: str, shown: str) -> None:
    assert masked_address(url) == shown


def test_a_url_without_a_readable_host_is_at_fault() -> None:
    assert fault_of("http://") and fault_of("http://host:zebra") and fault_of("http://[::1")
    assert fault_of("https://host:8443/path?x=1") is None
