"""Which scope each route wants. What stands in no line here is for administrators alone."""

from __future__ import annotations

from collections.abc import Mapping

from flask import request

from api.caller import DASHBOARD, DOCS, caller
from api.services import services
from headrace.core.api_key import Scope
from headrace.core.errors import Forbidden
from headrace.core.exposure import is_loopback
from headrace.core.trusted_hosts import names_loopback

PUBLIC = frozenset({"operations.health", "operations.healthz", "operations.readyz"})
"""Routes that need no key."""

LOCAL = frozenset({"operations.metrics", "operations.fleet"})
"""Routes that need none either, for callers on this machine, where the API binds to loopback."""

SCOPES: Mapping[str, Scope] = {
    "openai.chat_completions": Scope.SUBMIT,
    "openai.completions": Scope.SUBMIT,
    "openai.models": Scope.READ,
    "openai.model": Scope.READ,
    "jobs.submit": Scope.SUBMIT,
    "jobs.change": Scope.SUBMIT,
    "jobs.cancel": Scope.SUBMIT,
    "jobs.show": Scope.READ,
    "jobs.index": Scope.READ,
    "jobs.stream": Scope.READ,
    "jobs.timeline": Scope.READ,
    "dead.replay": Scope.SUBMIT,
    "dead.purge": Scope.SUBMIT,
    "dead.purge_all": Scope.SUBMIT,
    "dead.index": Scope.READ,
    "dead.show": Scope.READ,
    "operations.metrics": Scope.ADMIN,
    "operations.fleet": Scope.FLEET,
    "fleet": Scope.FLEET,  # the whole blueprint
    "openapi.document": Scope.READ,
    DOCS: Scope.READ,
    DASHBOARD: Scope.ADMIN,  # the whole blueprint
    "static": Scope.ADMIN,  # Flask's own, which the dashboard names on its pages
}
"""Scope of each endpoint, or of all of a blueprint's. Callers see the jobs of their tenant only."""


def require() -> None:
    """Before each request. Raises `Unauthorised`, `Forbidden`, `UntrustedHost`.

    An address that does not exist wants a key as well: who has none learns nothing of the others.
    """
    endpoint = request.endpoint
    if endpoint in PUBLIC or (endpoint in LOCAL and _is_local_visit()):
        return
    visitor = caller()
    if endpoint is not None and not visitor.may(scope_of(endpoint)):
        raise Forbidden(f"this API key does not have the scope {scope_of(endpoint)}")


def scope_of(endpoint: str) -> Scope:
    blueprint = endpoint.partition(".")[0]
    return SCOPES.get(endpoint) or SCOPES.get(blueprint, Scope.ADMIN)


def _is_local_visit() -> bool:
    """Also by the name that led here: a page of another site may name this machine as its own."""
    return is_loopback(services().settings.host) and names_loopback(
        request.environ.get("HTTP_HOST")
    )
