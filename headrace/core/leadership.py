"""One scaler acts at a time: the one that holds the lease, and only while it holds it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from headrace.core.connection import Client
from headrace.core.decision_log import Record
from headrace.core.jobs import keys, rq_adapter
from headrace.core.settings import Settings

DECISIONS_KEPT = 5000


@dataclass(frozen=True, slots=True)
class Leader:
    """Who leads `until` Redis TIME; each new one has a higher fencing number."""

    holder: str
    until: float
    fence: int

    @staticmethod
    def decode(fields: Mapping[bytes, bytes]) -> Leader | None:
        """None where no scaler ever led."""
        if b"holder" not in fields:
            return None
        return Leader(fields[b"holder"].decode(), float(fields[b"until"]), int(fields[b"fence"]))


def has_leader(redis: Client) -> bool:
    """Whether a scaler acts at this moment."""
    seconds, microseconds = redis.time()
    leader = Leader.decode(redis.hgetall(keys.SCALER))
    return leader is not None and leader.until > seconds + microseconds / 1e6


class Leadership:
    """A scaler's claim to act, under a `name` that no other has.

    Raises `redis.exceptions.RedisError` when the server is away; all calls may be repeated.
    """

    def __init__(self, redis: Client, settings: Settings, name: str, lease_s: float) -> None:
        self.name = name
        self._redis = redis
        self._lease_s = lease_s
        self._fence = 0
        self._lead = rq_adapter.load_script(redis, "lead", settings)
        self._order = rq_adapter.load_script(redis, "order", settings)

    def take(self) -> int:
        """Takes or renews the lease; returns the fencing number, 0 while another has it."""
        self._fence = self._ask(self._lease_s)
        return self._fence

    def leads(self) -> bool:
        """Whether the lease is this scaler's at this moment."""
        leader = Leader.decode(self._redis.hgetall(keys.SCALER))
        return leader is not None and leader.holder == self.name and has_leader(self._redis)

    def resign(self) -> None:
        """Leaves the lease to the next at once."""
        if self._fence:
            self._ask(0.0)

    def order(self, size: int | None, surplus: Sequence[str], record: Record | None) -> bool:
        """Wants `size` workers, and that those of `surplus` drain while all others go on.

        None changes nothing but counts a reading that was unknown. `record` goes to the decision
        log. False, and nothing happened, where the lease is another's by now.
        """
        return bool(
            self._order(
                keys=[keys.SCALER, keys.FLEET, keys.DECISIONS, keys.SURPLUS, keys.DISMISSED],
                args=[
                    self.name,
                    self._fence,
                    "" if size is None else size,
                    record.encode() if record else "",
                    DECISIONS_KEPT,
                    *surplus,
                ],
            )
        )

    def _ask(self, lease_s: float) -> int:
        return int(self._lead(keys=[keys.SCALER], args=[self.name, lease_s]))


class Spectator(Leadership):
    """Leads nothing: sees what a leader would see, and its orders reach nobody."""

    def take(self) -> int:
        return 1

    def leads(self) -> bool:
        return False

    def resign(self) -> None:
        """Nothing to leave."""

    def order(self, size: int | None, surplus: Sequence[str], record: Record | None) -> bool:
        return True
