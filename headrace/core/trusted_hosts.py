"""The Host headers that are answered where no API key protects a server.

A page of another site can point its own name at this machine (DNS rebinding); its browser then
sends that name as Host. An IP address as Host is safe: nobody can point one elsewhere.
"""

from __future__ import annotations

import ipaddress
import re
from functools import lru_cache

from headrace.core.exposure import is_loopback
from headrace.core.settings import Settings

ANY = "*"
HOST = re.compile(r"(?:\[(?P<v6>[0-9a-f:.]+(?:%[\w.-]+)?)\]|(?P<name>[\w.-]+))(?::[0-9]{0,5})?")


class TrustedHosts:
    """IP addresses, `localhost`, the name that the API binds to, and `HEADRACE_ALLOWED_HOSTS`."""

    def __init__(self, settings: Settings) -> None:
        allowed = settings.allowed_hosts.split(",")
        self._names = {name.strip().lower().removesuffix(".") for name in (settings.host, *allowed)}

    def admit(self, header: str | None) -> bool:
        """Return whether a request with this Host header is answered."""
        if ANY in self._names:
            return True
        name = host_name(header or "")
        return name is not None and (name in self._names or _is_own(name))


@lru_cache(maxsize=1024)
def host_name(header: str) -> str | None:
    """Return the host of a Host header, in lower case and without its port; None for nonsense."""
    match = HOST.fullmatch(header.lower())
    if match is None or not header.isascii():
        return None
    return match["v6"] or match["name"].removesuffix(".") or None


def names_loopback(header: str | None) -> bool:
    """Return whether a Host header names this machine by a loopback address or `localhost`."""
    name = host_name(header or "")
    return name is not None and is_loopback(name)


def _is_own(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name == "localhost"
    return True
