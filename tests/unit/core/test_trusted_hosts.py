"""The Host headers that are answered without a key."""

from __future__ import annotations

import pytest

from headrace.core.errors import SettingsError
from headrace.core.settings import Settings, load_settings
from headrace.core.trusted_hosts import TrustedHosts, host_name, names_loopback

OWN = [
    *("127.0.0.1", "127.0.0.1:8000", "127.9.9.9:1", "localhost", "LOCALHOST:8000", "localhost."),
    *("[::1]", "[::1]:8000", "10.1.2.3:8000", "0.0.0.0:8000", "[fd00::1]:8000", "[fe80::1%eth0]"),
]
FOREIGN = [
    *("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"),
    *("localhost.localdomain", "notlocalhost", "evil.localhost.example", "api", "127.1", "0x7f.1"),
    *("", ":8000", "::1", "[evil.example]", "127.0.0.1@evil.example", "evil.example#127.0.0.1"),
    *("127.0.0.1,evil.example", "127.0.0.1 evil.example", "localhost..", "\u217cocalhost"),
    *("localhost:80:80", "localhost:x", "2130706433", "127.0.0.1/", "http://localhost", "[::1"),
]


@pytest.mark.parametrize("header", OWN)
def test_an_address_or_localhost_is_answered(header: str) -> None:
    assert TrustedHosts(Settings()).admit(header)


@pytest.mark.parametrize("header", [*FOREIGN, None])
def test_any_other_name_is_not(header: str | None) -> None:
    assert not TrustedHosts(Settings()).admit(header)


def test_the_name_it_binds_to_and_those_of_the_setting_are_answered() -> None:
    hosts = TrustedHosts(Settings(host="Inference.lan", allowed_hosts="api, Box.Example., "))

    for header in ("inference.lan:8000", "api:8000", "box.example", "BOX.EXAMPLE.:80"):
        assert hosts.admit(header), header
    for header in ("lan", "x.api", "api.x", ""):
        assert not hosts.admit(header), header


def test_a_star_answers_to_every_name() -> None:
    assert TrustedHosts(Settings(allowed_hosts="*")).admit("evil.example")


@pytest.mark.parametrize("hosts", ["http://box", "box:8000", "box/x", "a b", "*.example"])
def test_what_is_no_host_name_is_refused_by_the_settings(hosts: str) -> None:
    with pytest.raises(SettingsError, match=r"HEADRACE_ALLOWED_HOSTS: .*no host name"):
        load_settings(allowed_hosts=hosts)


def test_a_loopback_name_is_an_address_of_this_machine_alone() -> None:
    assert names_loopback("[::1]:8000") and names_loopback("localhost.")
    assert not names_loopback("10.0.0.1") and not names_loopback(None)
    assert host_name("[::1]:8000") == "::1"
