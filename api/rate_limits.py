"""Requests and tokens a minute of each API key, counted in Redis for all processes together.

Sliding windows: two counters a limit, the last minute's fading while this one's grows. A fixed
window would let twice the limit pass around its end; a moving one keeps an entry for every token.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from flask import Response, g
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from api.caller import Caller
from headrace.core.connection import Client
from headrace.core.errors import HeadraceError, InvalidRequest, LimitExceeded
from headrace.core.types import Request

WINDOW_S = 60.0


@dataclass(frozen=True, slots=True)
class Charge:
    """What a call takes from one limit of a key; `kind` is `requests` or `tokens`."""

    kind: str
    key_id: str
    limit: int
    cost: int

    @property
    def item(self) -> RateLimitItemPerMinute:
        return RateLimitItemPerMinute(self.limit, namespace=self.kind)


class RateLimits:
    def __init__(self, redis: Client) -> None:
        self._storage = RedisStorage(
            "redis://", connection_pool=redis.connection_pool, key_prefix="headrace:rate"
        )
        self._limiter = SlidingWindowCounterRateLimiter(self._storage)

    @contextmanager
    def charged(self, caller: Caller, requests: Sequence[Request]) -> Iterator[Callable[[], None]]:
        """Takes the requests from the limits of the caller's key; what is refused, gives it back.

        The block is given what does the same for requests that turn out to be nothing new.

        Raises `LimitExceeded`, and `InvalidRequest` for what no limit will ever let pass.
        """
        taken: list[Charge] = []

        def give_back() -> None:
            while taken:
                charge = taken.pop()
                self._limiter.hit(charge.item, charge.key_id, cost=-charge.cost)
                self._note(charge)

        try:
            for charge in charges(caller, requests):
                self._take(charge)
                taken.append(charge)
            yield give_back
        except HeadraceError:
            give_back()
            raise

    def _take(self, charge: Charge) -> None:
        if charge.cost > charge.limit:
            raise InvalidRequest(
                f"{charge.cost} {charge.kind} at once: this key allows {charge.limit} a minute",
                "max_tokens" if charge.kind == "tokens" else None,
                f"{charge.kind}_per_minute",
            )
        is_taken = self._limiter.hit(charge.item, charge.key_id, cost=charge.cost)
        self._note(charge)
        if not is_taken:
            raise LimitExceeded(
                f"this key allows {charge.limit} {charge.kind} a minute",
                f"{charge.kind}_per_minute",
                self._wait_s(charge),
            )

    def _note(self, charge: Charge) -> None:
        """What the answer will say of a limit, in headers that OpenAI's clients know."""
        remaining = self._limiter.get_window_stats(charge.item, charge.key_id).remaining
        g.setdefault("rate_limits", {}).update(
            {
                f"x-ratelimit-limit-{charge.kind}": str(charge.limit),
                f"x-ratelimit-remaining-{charge.kind}": str(remaining),
            }
        )

    def _wait_s(self, charge: Charge) -> float:
        key = charge.item.key_for(charge.key_id)
        window = self._storage.get_sliding_window(key, int(WINDOW_S))
        return wait_s(charge.limit - charge.cost, *window)


def charges(caller: Caller, requests: Sequence[Request]) -> Iterator[Charge]:
    """None for a limit that the caller does not have."""
    limits, key_id = caller.limits, caller.key_id or ""
    if limits.requests_per_minute is not None:
        yield Charge("requests", key_id, limits.requests_per_minute, len(requests))
    if limits.tokens_per_minute is not None:
        tokens = sum(request.cost_tokens for request in requests)
        yield Charge("tokens", key_id, limits.tokens_per_minute, tokens)


def wait_s(room: int, previous: int, previous_s: float, current: int, current_s: float) -> float:
    """Seconds until the weighted count of two windows has come down to `room`.

    The previous window counts for the part of it that is left, `previous_s` of a minute;
    `current_s` is how long the current one is kept, a minute longer than it lasts.
    """
    if current <= room:
        over = previous * previous_s / WINDOW_S - (room - current)
        return max(0.0, over * WINDOW_S / previous) if previous else 0.0
    return max(0.0, current_s - WINDOW_S) + WINDOW_S * (1 - room / current)


def show(response: Response) -> Response:
    """After each request."""
    response.headers.update(g.get("rate_limits", {}))
    return response
