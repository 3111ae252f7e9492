"""Requests and tokens a minute of the caller's API key."""

from __future__ import annotations

from collections.abc import Iterable

from flask import Response, g

from api.caller import Caller
from headrace.core.jobs.rates import Rates, Usage


def rates_of(caller: Caller) -> Rates:
    limits = caller.limits
    return Rates(caller.key_id or "", limits.requests_per_minute, limits.tokens_per_minute)


def note(usages: Iterable[Usage]) -> None:
    """What the answer will say of the limits, in headers that OpenAI's clients know."""
    g.rate_limits = {
        name: value
        for usage in usages
        for name, value in (
            (f"x-ratelimit-limit-{usage.kind}", str(usage.limit)),
            (f"x-ratelimit-remaining-{usage.kind}", str(usage.remaining)),
        )
    }


def show(response: Response) -> None:
    """After each request."""
    response.headers.update(g.get("rate_limits", {}))
