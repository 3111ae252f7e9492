"""Wakes every request of this process that waits for a job, over one Redis connection."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import structlog

from headrace.core.jobs import keys
from headrace.core.jobs.queue import JobQueue

RECONNECT_S = 0.5
LISTEN_S = 1.0

LOOK_AGAIN_S = 5.0
"""Longest trust in messages alone: jobs that stock RQ ends send none."""

MOST_LOOKED_AT = 500
"""Jobs whose states are read in one round trip."""

log = structlog.get_logger()


class Waiters:
    """One listener thread (a greenlet under gevent), started with the first wait.

    A wake-up says "look again", no more. What messages do not say, or what was missed of them while
    the connection was away, the listener finds out for all who wait, so that none of them has to
    ask by itself.
    """

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._events: dict[tuple[str, str], set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """Ends the listener."""
        self._closed.set()
        if self._listener is not None:
            self._queue.redis.publish(keys.ENDED_CHANNEL, "")
            self._listener.join()

    @contextmanager
    def watch(self, job_id: str, tokens: bool = False) -> Iterator[threading.Event]:
        """An event that is set when the job ends, or when it gains `tokens`."""
        event = threading.Event()
        channels = [keys.ENDED_CHANNEL, keys.TOKENS_CHANNEL] if tokens else [keys.ENDED_CHANNEL]
        for channel in channels:
            self._events[channel, job_id].add(event)
        try:
            self._ensure_listener()
            yield event
        finally:
            for channel in channels:
                self._forget((channel, job_id), event)

    def _forget(self, key: tuple[str, str], event: threading.Event) -> None:
        self._events[key].discard(event)
        if not self._events[key]:
            del self._events[key]

    def _ensure_listener(self) -> None:
        with self._lock:
            if self._listener is None:
                self._listener = threading.Thread(target=self._listen, name="waiters", daemon=True)
                self._listener.start()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                self._relay()
            except Exception as error:  # whatever it is: without a listener nobody is woken
                log.warning("listener lost Redis", error=str(error))
                self._closed.wait(RECONNECT_S)

    def _relay(self) -> None:
        with self._queue.redis.pubsub() as pubsub:
            pubsub.subscribe(keys.TOKENS_CHANNEL, keys.ENDED_CHANNEL)
            looked_at = time.monotonic()
            while not self._closed.is_set():
                message = pubsub.get_message(timeout=min(LISTEN_S, LOOK_AGAIN_S))
                if message and message["type"] == "message":
                    self._wake(message["channel"].decode(), message["data"].decode().split())
                elif message:  # subscribed: what was said before was missed
                    self._wake(keys.TOKENS_CHANNEL, self._watched(keys.TOKENS_CHANNEL))
                    self._wake_ended()
                if time.monotonic() - looked_at >= LOOK_AGAIN_S:
                    self._wake_ended()
                    looked_at = time.monotonic()

    def _wake_ended(self) -> None:
        """Wakes those whose job has ended, or is gone."""
        job_ids = self._watched(keys.ENDED_CHANNEL)
        for start in range(0, len(job_ids), MOST_LOOKED_AT):
            some = job_ids[start : start + MOST_LOOKED_AT]
            states = zip(some, self._queue.states(some), strict=True)
            ended = [job_id for job_id, state in states if state is None or state.is_terminal]
            self._wake(keys.ENDED_CHANNEL, ended)

    def _watched(self, channel: str) -> list[str]:
        return [job_id for each, job_id in tuple(self._events) if each == channel]

    def _wake(self, channel: str, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            for event in tuple(self._events.get((channel, job_id), ())):
                event.set()
