"""Which visits of a browser are served where no API key protects the API.

Any page that a user opens may make the browser ask this machine. It cannot read the answers, but
without these checks its posts would fill the queue, and by a name of its own it would read prompts.
"""

from __future__ import annotations

from flask import request

from api.services import services
from headrace.core.errors import CrossSiteRequest, UntrustedHost

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
OWN_PAGES = frozenset({"same-origin", "none"})
"""`none`: the user typed the address."""


def require_trusted_visit() -> None:
    """Raises `UntrustedHost` and `CrossSiteRequest`.

    X-Forwarded-Host is not looked at: a page can set it.
    """
    host = request.environ.get("HTTP_HOST")
    if not services().trusted_hosts.admit(host):
        raise UntrustedHost(host or "")
    if request.method not in SAFE_METHODS and is_sent_by_another_site():
        origin = request.headers.get("Origin", "")
        if not services().cors.allows(origin):
            raise CrossSiteRequest(origin)


def is_sent_by_another_site() -> bool:
    """Return whether a page of another origin than this API's sends the request."""
    origin, site = request.headers.get("Origin"), request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site.lower() not in OWN_PAGES
    own = request.environ.get("HTTP_HOST", "").lower()
    return origin is not None and origin.lower().partition("://")[2] != own
