"""Wakes every request of this process that waits for a job, over one Redis connection."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from headrace.core.connection import Client
from headrace.core.jobs import keys

RECONNECT_S = 0.5
LISTEN_S = 1.0

log = structlog.get_logger()


class Waiters:
    """One listener thread (a greenlet under gevent), started with the first wait.

    A wake-up says "look again", no more: after a reconnect everybody is woken, since messages may
    have been missed.
    """

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._events: dict[tuple[str, str], set[threading.Event]] = defaultdict(set)
        self._lock = threading.Lock()
        self._listener: threading.Thread | None = None
        self._closed = threading.Event()

    def close(self) -> None:
        """Ends the listener."""
        self._closed.set()
        if self._listener is not None:
            self._redis.publish(keys.ENDED_CHANNEL, "")
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
        with self._redis.pubsub() as pubsub:
            pubsub.subscribe(keys.TOKENS_CHANNEL, keys.ENDED_CHANNEL)
            while not self._closed.is_set():
                message = pubsub.get_message(timeout=LISTEN_S)
                if message is None:
                    continue
                if message["type"] == "message":
                    self._wake(message["channel"].decode(), message["data"].decode().split())
                else:
                    self._wake_all()

    def _wake(self, channel: str, job_ids: list[str]) -> None:
        for job_id in job_ids:
            for event in tuple(self._events.get((channel, job_id), ())):
                event.set()

    def _wake_all(self) -> None:
        for events in tuple(self._events.values()):
            for event in tuple(events):
                event.set()
