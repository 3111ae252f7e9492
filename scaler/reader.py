"""Reads queue and fleet from Redis, or says why they are not known: nothing is ever guessed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite

from redis.exceptions import RedisError

from headrace.core.clock import Clock
from headrace.core.connection import Client
from headrace.core.errors import Unavailable
from headrace.core.redis_errors import cause_of, words_of
from headrace.core.step_sums import StepSums
from scaler.members import NumberOf, members_of
from scaler.readings import Load, Reading, Readings, Unknown
from scaler.snapshot import Snapshot, take_snapshot

SETTLE_S = 5.0
"""How long a server has to run before it is believed: workers tell it anew that they live."""


class Reader:
    """Reads in two round trips. A reading that took longer than `stale_s` is too old to act on."""

    def __init__(self, redis: Client, stale_s: float, clock: Clock, number_of: NumberOf) -> None:
        self._redis = redis
        self._number_of = number_of
        self._stale_s = stale_s
        self._clock = clock

    def read(self) -> Reading:
        asked_at = self._clock.now()
        try:
            snapshot = take_snapshot(self._redis)
            reading = _readings(snapshot, self._number_of)
        except RedisError as error:
            return Unknown(f"Redis {cause_of(error)}: {words_of(error)}")
        except Unavailable as error:
            return Unknown(str(error))
        except (ValueError, TypeError, LookupError) as error:
            return Unknown(f"Redis holds what nobody can read: {error!r}")
        problem = next(self._problems(snapshot, reading, asked_at), None)
        return Unknown(problem) if problem else reading

    def _problems(self, snapshot: Snapshot, reading: Readings, asked_at: float) -> Iterator[str]:
        age_s = self._clock.now() - asked_at
        if age_s > self._stale_s:
            yield f"stale: reading took {age_s:.1f} s"
        if snapshot.uptime_s < SETTLE_S:
            yield f"the server started {snapshot.uptime_s:.0f} s ago"
        if not snapshot.has_card:
            yield "the server is empty: no worker was ever ready, or it has lost its data"
        if snapshot.is_suspended:
            yield "suspended by `rq suspend`: no worker may take a job"
        yield from _contradictions(reading)


def _readings(snapshot: Snapshot, number_of: NumberOf) -> Readings:
    backlog, counts = snapshot.backlog, snapshot.counts
    return Readings(
        at=backlog.at,
        run_id=snapshot.run_id,
        waiting=Load(backlog.waiting, backlog.waiting_tokens),
        running=Load(backlog.running, sum(beat.left_tokens for beat in snapshot.beats)),
        oldest_wait_s=backlog.oldest_s,
        arrived=Load(counts.get("accepted", 0), counts.get("tokens:accepted", 0)),
        completed=Load(_ended(counts), counts.get("tokens:ended", 0)),
        produced=counts.get("tokens:output", 0),
        steps=StepSums.of_counts(counts),
        p95_s=_p95(snapshot.latencies_s),
        members=members_of(snapshot, number_of),
        cold_starts_s=snapshot.cold_starts_s,
        deaths=tuple(snapshot.deaths.values()),
        canaries=snapshot.canaries,
    )


def _ended(counts: Mapping[str, int]) -> int:
    return sum(count for field, count in counts.items() if field.startswith("jobs:"))


def _p95(latencies_s: tuple[float, ...]) -> float | None:
    """The smallest latency that 95 % of them do not exceed."""
    ordered = sorted(latencies_s)
    return ordered[-(len(ordered) // 20) - 1] if ordered else None


def _contradictions(reading: Readings) -> Iterator[str]:
    tokens = reading.waiting.tokens
    if not (isfinite(tokens) and tokens >= 0):
        yield f"contradictory: {tokens} tokens wait"
    if tokens and not reading.waiting.jobs:
        yield f"contradictory: {tokens:.0f} tokens wait, and no job"
