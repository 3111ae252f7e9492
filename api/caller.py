"""Who asks: the tenant and the rights of the current request's API key."""

from __future__ import annotations

from dataclasses import dataclass

from flask import g, request

from api.cross_site import require_trusted_visit
from api.services import services
from headrace.core.api_key import NO_LIMITS, ApiKey, Limits, Scope
from headrace.core.errors import Unauthorised
from headrace.core.exposure import may_be_anonymous
from headrace.core.types import DEFAULT_TENANT

DASHBOARD = "rq_dashboard"
DOCS, OPENAPI = "docs", "openapi"
BROWSED = frozenset({DASHBOARD, DOCS, OPENAPI})
"""Blueprints whose visitors are browsers: they cannot send a bearer."""

BEARER = 'Bearer realm="Headrace"'
BASIC = 'Basic realm="Headrace: the password is an API key", charset="UTF-8"'


@dataclass(frozen=True, slots=True)
class Caller:
    """`key_id` is None for a caller without a key."""

    tenant: str
    scopes: frozenset[Scope]
    limits: Limits
    key_id: str | None

    @classmethod
    def of(cls, key: ApiKey) -> Caller:
        return cls(key.tenant, key.scopes, key.limits, key.id)

    def may(self, scope: Scope) -> bool:
        return scope in self.scopes or Scope.ADMIN in self.scopes

    @property
    def sees(self) -> str | None:
        """The tenant whose jobs there are for this caller; None: all of them."""
        return None if Scope.ADMIN in self.scopes else self.tenant


ANONYMOUS = Caller(DEFAULT_TENANT, frozenset(Scope), NO_LIMITS, None)
"""Everybody, while there is no key; but for pages of other sites."""


def caller() -> Caller:
    """Return the current request's.

    Raises `Unauthorised`, `UntrustedHost`, `CrossSiteRequest`, and `RedisError` when Redis is away.
    """
    known: Caller | None = g.get("caller")
    if known is None:
        known = g.caller = _identify()
    return known


def _identify() -> Caller:
    """Who shows a valid key is its owner, even before this process knows that there are keys."""
    keys, text = services().api_keys, _shown()
    key = keys.find(text) if text else None
    if key is not None:
        return Caller.of(key)
    if keys.is_locked():
        raise _unauthorised("no such API key" if text else "this API needs an API key")
    if may_be_anonymous(services().settings):
        require_trusted_visit()
        return ANONYMOUS
    raise _unauthorised("this API has no key yet, and serves nobody without one")


def _shown() -> str | None:
    """The key that the request brings: a bearer, from a browser a password.

    Nowhere else a password: browsers send it along when other sites' pages post here. The dashboard
    looks where a post comes from; the other pages take none.
    """
    shown = request.authorization
    if shown is None:
        return None
    if shown.type == "basic" and request.blueprint in BROWSED:
        return shown.password
    return shown.token if shown.type == "bearer" else None


def _unauthorised(message: str) -> Unauthorised:
    return Unauthorised(message, BASIC if request.blueprint in BROWSED else BEARER)
