"""The roster of live workers. RQ's own lives for minutes; this one for seconds."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from typing import Literal

from headrace.core.connection import Client
from headrace.core.fidelity import Fidelity
from headrace.core.jobs import keys
from headrace.core.types import EngineStats, Feature

Activity = Literal["ready", "draining", "drained", "restarting"]
"""A worker that was told to drain takes no more jobs; once it runs none it is drained. One whose
engine died takes none until it has loaded another."""

COLD_STARTS_KEPT = 20

_NUMBERED = re.compile(r"worker-([1-9]\d{0,2})(?:-|$)")


@dataclass(frozen=True, slots=True)
class WorkerState:
    """One heartbeat of a worker; `features` are those of its engine.

    Its process is `age_s` old; its jobs may still produce `left_tokens`. `fidelity` says how truly
    its engine answers, None where nobody knows.
    """

    name: str
    activity: Activity
    pid: int
    engine: str
    stats: EngineStats
    host: str = ""
    features: tuple[str, ...] = ()
    age_s: float = 0.0
    left_tokens: int = 0
    fidelity: Fidelity | None = None

    @staticmethod
    def decode(beat: bytes) -> WorkerState:
        """Fields that later versions add are passed over."""
        fields = json.loads(beat)
        known = {name: fields[name] for name in WorkerState.__slots__ if name in fields}
        return WorkerState(
            **known
            | {
                "stats": EngineStats(**fields["stats"]),
                "features": tuple(fields.get("features", ())),
                "fidelity": Fidelity.decode(fields.get("fidelity")),
            }
        )


class Roster:
    """A worker that has not beaten for `ttl_s` is gone."""

    def __init__(self, redis: Client, ttl_s: float) -> None:
        self._redis = redis
        self._ttl_ms = int(ttl_s * 1000)

    def beat(self, state: WorkerState, client: Client = None) -> None:
        """`client` may be a pipeline."""
        client = client or self._redis
        client.sadd(keys.WORKERS, state.name)
        client.set(keys.worker(state.name), json.dumps(asdict(state)), px=self._ttl_ms)

    def serve(self, card_hash: str, client: Client = None) -> None:
        """Says that a live worker takes jobs of this card. `client` may be a pipeline."""
        (client or self._redis).set(keys.serving(card_hash), "1", px=self._ttl_ms)

    def announce(self, name: str, age_s: float) -> None:
        """A worker that is about to load its model: its process is `age_s` old."""
        seconds, microseconds = self._redis.time()
        self._redis.hset(keys.STARTING, name, seconds + microseconds / 1e6 - age_s)

    def arrive(self, name: str, age_s: float) -> None:
        """The worker that was announced is ready: so long its cold start took."""
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.hdel(keys.STARTING, name)
            pipeline.lpush(keys.COLD_STARTS, age_s)
            pipeline.ltrim(keys.COLD_STARTS, 0, COLD_STARTS_KEPT - 1)
            pipeline.execute()

    def drain(self, name: str) -> None:
        """From now on the worker is given no more jobs; what it runs it finishes."""
        self._redis.sadd(keys.DRAINING, name)

    def resume(self, name: str) -> None:
        """Takes `drain` back."""
        self._redis.srem(keys.DRAINING, name)

    def leave(self, name: str) -> None:
        with self._redis.pipeline(transaction=True) as pipeline:
            pipeline.srem(keys.WORKERS, name)
            pipeline.srem(keys.DRAINING, name)
            pipeline.hdel(keys.STARTING, name)
            pipeline.delete(keys.worker(name))
            pipeline.execute()

    def workers(self) -> list[WorkerState]:
        """The live ones by name; names whose heartbeat ended are forgotten."""
        names = sorted(name.decode() for name in self._redis.smembers(keys.WORKERS))
        beats = self._redis.mget([keys.worker(name) for name in names]) if names else []
        gone = [name for name, beat in zip(names, beats, strict=True) if beat is None]
        if gone:
            self._redis.srem(keys.WORKERS, *gone)
        return [WorkerState.decode(beat) for beat in beats if beat is not None]

    def ready(self, within_s: float) -> int:
        """Ready workers that have beaten lately: who is killed would else count for the lease."""
        names = [name.decode() for name in self._redis.smembers(keys.WORKERS)]
        with self._redis.pipeline(transaction=False) as pipeline:
            for name in names:
                pipeline.get(keys.worker(name))
                pipeline.pttl(keys.worker(name))
            answers = iter(pipeline.execute())
        oldest_ms = self._ttl_ms - within_s * 1000
        return sum(
            left_ms >= oldest_ms and WorkerState.decode(beat).activity == "ready"
            for beat, left_ms in zip(answers, answers, strict=True)
            if beat is not None
        )

    def features(self) -> frozenset[str]:
        """What the engine of every live worker can do: any of them may get the next job.

        Where none lives, everything: it is not known who will come.
        """
        known = [frozenset(worker.features) for worker in self.workers()]
        return frozenset.intersection(*known) if known else frozenset(Feature)


def number_of(worker: str) -> int | None:
    """3 of `worker-3-a3f9`; None of a worker that was not started by number."""
    match = _NUMBERED.match(worker)
    return int(match[1]) if match else None
