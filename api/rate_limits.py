"""Requests and tokens a minute of the caller's API key."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil

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
            (f"x-ratelimit-reset-{usage.kind}", duration(usage.reset_s)),
        )
    }


def show(response: Response) -> None:
    """After each request."""
    response.headers.update(g.get("rate_limits", {}))


def duration(seconds: float) -> str:
    """As OpenAI writes them, rounded up: `6m0s`, `59s`, `120ms`, `0s`."""
    if 0 < seconds < 1:
        return f"{ceil(seconds * 1000)}ms"
    minutes, rest = divmod(ceil(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
