"""How many workers are wanted: the scaler says it, whoever runs the workers follows it.

`headrace:fleet` holds `size` and `since` (Redis TIME of its last change), and where people want it
otherwise `fixed` (a number that the scaler keeps) or `paused`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from headrace.core.connection import Client
from headrace.core.jobs import keys, rq_adapter
from headrace.core.settings import Settings

DEATHS_KEPT_S = 3600

Mode = Literal["auto", "fixed", "paused"]
"""Whether the policy says how many, or a person does."""


@dataclass(frozen=True, slots=True)
class Desired:
    """`size` workers are wanted since Redis TIME `since`; None where nobody has said a number.

    `fixed` is what a person wants whatever the policy says; while `is_paused` nothing changes.
    """

    size: int | None = None
    since: float = 0.0
    fixed: int | None = None
    is_paused: bool = False

    @property
    def mode(self) -> Mode:
        if self.is_paused:
            return "paused"
        return "auto" if self.fixed is None else "fixed"

    @staticmethod
    def decode(fields: Mapping[bytes, bytes]) -> Desired:
        """Of the hash; raises `ValueError` where somebody wrote something else into it."""
        size, fixed = fields.get(b"size"), fields.get(b"fixed")
        return Desired(
            size=None if size is None else int(size),
            since=float(fields.get(b"since", 0)),
            fixed=None if fixed is None else int(fixed),
            is_paused=b"paused" in fields,
        )


class DesiredFleet:
    """Raises `redis.exceptions.RedisError` when the server is away; all calls may be repeated.

    The scaler itself writes by way of `Leadership.order`, which is fenced.
    """

    def __init__(self, redis: Client, settings: Settings) -> None:
        self._redis = redis
        self._dismiss = rq_adapter.load_script(redis, "dismiss", settings)

    def read(self) -> Desired:
        return Desired.decode(self._redis.hgetall(keys.FLEET))

    def muster(self, size: int) -> None:
        """A deployment starts with so many workers: nothing of an earlier one's lives any more.

        What people want of the scaler stands.
        """
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.delete(keys.STARTING, keys.SURPLUS, keys.DISMISSED, keys.DEATHS)
            pipeline.hset(keys.FLEET, mapping={"size": size, "since": self._now()})
            pipeline.execute()

    def dismiss(self, worker: str) -> bool:
        """Says whether a worker may be told to end: it drains, and runs nothing.

        From then on it is given no job, whatever becomes of its drain flag.
        """
        return bool(self._dismiss(keys=[keys.DISMISSED], args=[worker]))

    def bury(self, worker: str, is_blameless: bool) -> None:
        """Notes that a worker has ended: a death, unless it was dismissed or a job killed it."""
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.srem(keys.DISMISSED, worker)
            pipeline.srem(keys.SURPLUS, worker)
            was_dismissed, _ = pipeline.execute()
        if was_dismissed or is_blameless:
            return
        now = self._now()
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.zadd(keys.DEATHS, {worker: now})
            pipeline.zremrangebyscore(keys.DEATHS, "-inf", now - DEATHS_KEPT_S)
            pipeline.execute()

    def pause(self) -> None:
        """The number stays what it is until `resume`."""
        self._redis.hset(keys.FLEET, "paused", 1)

    def resume(self) -> None:
        """Takes `pause` back."""
        self._redis.hdel(keys.FLEET, "paused")

    def fix(self, size: int) -> None:
        """The scaler keeps this number until `auto`, whatever its policy says."""
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hset(keys.FLEET, "fixed", size)
            pipeline.hdel(keys.FLEET, "paused")
            pipeline.execute()

    def auto(self) -> None:
        """Takes `fix` and `pause` back."""
        self._redis.hdel(keys.FLEET, "fixed", "paused")

    def _now(self) -> float:
        seconds, microseconds = self._redis.time()
        return float(seconds + microseconds / 1e6)
