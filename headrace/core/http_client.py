"""The HTTP client of the command line and of the monitor."""

from __future__ import annotations

from typing import Any

import httpx

from headrace.core.proxies import proxy_of


def http_client(url: str, **options: Any) -> httpx.Client:
    """Return a client for one server, through the proxy that the environment names for it.

    Raises `SettingsError` for a proxy that cannot be used, and what `httpx.Client` raises.
    """
    # With a transport of its own a client asks no other proxy; certificates stay the environment's.
    return httpx.Client(transport=httpx.HTTPTransport(proxy=proxy_of(url)), **options)
