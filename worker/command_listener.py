"""The thread that hears a worker's commands, for as long as the worker lives."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing

import structlog

from headrace.core.connection import Client
from headrace.core.subscription import Subscription

LISTEN_S = 0.5
"""Longest wait for a command before the thread checks whether it is to end."""

RECONNECT_S = 1.0
SUBSCRIBE_S = 2.0

log = structlog.get_logger()


class CommandListener(threading.Thread):
    """Calls `hear` with each message of a channel. No error ends it: it subscribes again.

    RQ's own listener ends at the first error that is no lost connection: a time-out, a refused
    command, a payload that its handler cannot read.
    """

    def __init__(self, redis: Client, channel: str, hear: Callable[[bytes], None]) -> None:
        super().__init__(name="commands", daemon=True)
        self._redis = redis
        self._channel = channel
        self._hear = hear
        self._stopped = threading.Event()
        self._subscribed = threading.Event()

    def start(self) -> None:
        """Returns once the channel is heard, or after `SUBSCRIBE_S` where Redis refuses it."""
        super().start()
        self._subscribed.wait(SUBSCRIBE_S)

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._relay()
            except Exception as error:  # whatever it is: a deaf worker runs what was cancelled
                log.warning("command listener interrupted", error=str(error))
                self._stopped.wait(RECONNECT_S)

    def stop(self) -> None:
        """Ends the thread, after `LISTEN_S` at most."""
        self._stopped.set()
        self.join(2 * LISTEN_S)

    def _relay(self) -> None:
        with closing(Subscription(self._redis, [self._channel])) as subscription:
            while not self._stopped.is_set():
                match subscription.next(LISTEN_S):
                    case [b"subscribe", *_rest]:
                        self._subscribed.set()
                    case [b"message", _channel, message]:
                        self._take(message)

    def _take(self, message: bytes) -> None:
        try:
            self._hear(message)
        except Exception as error:  # anybody may publish
            log.warning("unreadable command ignored", error=repr(error))
