"""Which proxy a request goes through: one rule for every HTTP client of the project.

httpx, aiohttp and requests each read NO_PROXY in a way of their own, and all send what is meant for
127.0.0.1 to the proxy of the environment.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from urllib.parse import urlsplit

from headrace.core.errors import SettingsError

DEFAULT_PORTS = {"http": 80, "https": 443}


def proxy_of(url: str, environment: Mapping[str, str] | None = None) -> str | None:
    """Return the URL of the proxy for this URL; None where it is asked directly.

    Loopback addresses are asked directly, and so is what NO_PROXY names: hosts with their
    subdomains, addresses, networks (`10.0.0.0/8`), each with or without a port, or `*`.
    Raises `SettingsError` for a proxy that is not one of HTTP.
    """
    environment = os.environ if environment is None else environment
    parts = urlsplit(url)
    host, port = _plain(parts.hostname or ""), parts.port or DEFAULT_PORTS.get(parts.scheme)
    if _is_loopback(host) or _is_excepted(host, port, _variable("no_proxy", environment)):
        return None
    proxy = _variable(f"{parts.scheme}_proxy", environment) or _variable("all_proxy", environment)
    if not proxy:
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if urlsplit(proxy).scheme not in DEFAULT_PORTS:
        raise SettingsError(
            f"{parts.scheme.upper()}_PROXY, ALL_PROXY: only proxies of HTTP can be used; to ask "
            f"{host} directly, put it into NO_PROXY"
        )
    return proxy


def _variable(name: str, environment: Mapping[str, str]) -> str:
    """Return the variable as curl reads it: the lower case first."""
    return (environment.get(name) or environment.get(name.upper()) or "").strip()


def _plain(host: str) -> str:
    return host.lower().strip("[]").removesuffix(".").partition("%")[0]


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_loopback(host: str) -> bool:
    """Return whether the host is this machine, which also answers at 0.0.0.0."""
    address = _address(host)
    if address is not None:
        return address.is_loopback or address.is_unspecified
    return host == "localhost" or host.endswith(".localhost")


def _is_excepted(host: str, port: int | None, no_proxy: str) -> bool:
    return any(_names(entry, host, port) for entry in no_proxy.replace(",", " ").split())


def _names(entry: str, host: str, port: int | None) -> bool:
    """Return whether an entry of NO_PROXY names the host."""
    name, colon, only_port = entry.rpartition(":")
    if colon and only_port.isdigit() and (":" not in name or name.endswith("]")):
        if int(only_port) != port:
            return False
        entry = name
    address, entry = _address(host), entry.lower()
    if address is not None and "/" in entry:
        try:
            return address in ipaddress.ip_network(entry.replace("[", "").replace("]", ""), False)
        except ValueError:
            return False
    name = _plain(entry.removeprefix("*")).removeprefix(".")
    if not name:
        return entry == "*"
    if address is not None:
        return _address(name) == address
    return host == name or host.endswith(f".{name}")
