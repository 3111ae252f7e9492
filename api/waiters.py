"""Wakes every request of this process that waits for a job, over one Redis connection."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager

import structlog

from api.inbox import Inbox, News
from headrace.core import news
from headrace.core.jobs import keys
from headrace.core.jobs.queue import JobQueue
from headrace.core.subscription import Subscription

CHANNELS = (keys.TOKENS_CHANNEL, keys.ENDED_CHANNEL)

RECONNECT_S = 0.5
LISTEN_S = 1.0

LOOK_AGAIN_S = 5.0
"""Longest trust in messages alone: jobs that stock RQ ends send none."""

MOST_LOOKED_AT = 500
"""Jobs whose states are read in one round trip."""

log = structlog.get_logger()


class Waiters:
    """One listener thread (a greenlet under gevent), started with the first wait.

    It hands the entries that messages tell to those who follow these jobs. What messages do not
    tell, or what was missed of them while the connection was away, the listener finds out for all
    who wait, so that none of them has to ask by itself.
    """

    def __init__(self, queue: JobQueue) -> None:
        self._queue = queue
        self._inboxes: dict[str, defaultdict[str, set[Inbox]]] = {
            channel: defaultdict(set) for channel in CHANNELS
        }
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
    def watch(self, job_ids: Sequence[str], tokens: bool = False) -> Iterator[Inbox]:
        """An inbox that hears when one of the jobs ends, and what it gains where `tokens`."""
        inbox = Inbox(job_ids)
        channels = CHANNELS if tokens else (keys.ENDED_CHANNEL,)
        places = [(self._inboxes[channel], job_id) for channel in channels for job_id in job_ids]
        for inboxes, job_id in places:
            inboxes[job_id].add(inbox)
        try:
            self._ensure_listener()
            yield inbox
        finally:
            for inboxes, job_id in places:
                inboxes[job_id].discard(inbox)
                if not inboxes[job_id]:
                    del inboxes[job_id]

    def wake(self, job_ids: Sequence[str]) -> None:
        """Has those who follow the tokens of these jobs look at them, and show a sign of life."""
        self._wake(keys.TOKENS_CHANNEL, job_ids)

    def _ensure_listener(self) -> None:
        with self._lock:
            if self._listener is None or not self._listener.is_alive():
                self._listener = threading.Thread(target=self._listen, name="waiters", daemon=True)
                self._listener.start()

    def _listen(self) -> None:
        while not self._closed.is_set():
            try:
                self._relay()
            except Exception as error:  # whatever it is: without a listener nobody is woken
                log.warning("listener interrupted", error=str(error))
                self._closed.wait(RECONNECT_S)

    def _relay(self) -> None:
        with closing(Subscription(self._queue.redis, CHANNELS)) as subscription:
            looked_at = time.monotonic()
            while not self._closed.is_set():
                match subscription.next(min(LISTEN_S, LOOK_AGAIN_S)):
                    case [b"message", channel, message]:
                        self._hear(channel.decode(), message)
                    case [b"subscribe", *_rest]:  # what was told before was missed
                        self._wake(keys.TOKENS_CHANNEL, self._watched(keys.TOKENS_CHANNEL))
                        self._wake_ended()
                if time.monotonic() - looked_at >= LOOK_AGAIN_S:
                    self._wake_ended()
                    looked_at = time.monotonic()

    def _hear(self, channel: str, message: bytes) -> None:
        try:
            items = list(news.read(message, self._inboxes[channel].keys()))
        except Exception as error:  # anybody may publish; the connection is worth keeping
            log.warning("unreadable message ignored", channel=channel, error=repr(error))
            return
        for item in items:
            self._put(channel, item)

    def _wake_ended(self) -> None:
        """Wakes those whose job has ended, or is gone."""
        job_ids = self._watched(keys.ENDED_CHANNEL)
        for start in range(0, len(job_ids), MOST_LOOKED_AT):
            some = job_ids[start : start + MOST_LOOKED_AT]
            states = zip(some, self._queue.states(some), strict=True)
            ended = [job_id for job_id, state in states if state is None or state.is_terminal]
            self._wake(keys.ENDED_CHANNEL, ended)

    def _watched(self, channel: str) -> list[str]:
        return list(self._inboxes[channel])

    def _wake(self, channel: str, job_ids: Iterable[str]) -> None:
        """Has those who wait for these jobs look for themselves."""
        for job_id in job_ids:
            self._put(channel, (job_id, None))

    def _put(self, channel: str, item: News) -> None:
        for inbox in tuple(self._inboxes[channel].get(item[0], ())):
            inbox.put(item)
