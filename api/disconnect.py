"""Sees that a caller has hung up, and cancels what it asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import gevent
import structlog
from flask import request
from redis.exceptions import RedisError

from api import connection
from api.admission import KEY_HEADER
from api.cancellation import cancel
from api.connection import Connection
from api.schemas import OnDisconnect
from api.services import services
from headrace.core.errors import JobNotFound
from headrace.core.jobs.queue import JobQueue
from headrace.core.jobs.rq_adapter import DISCONNECTED

log = structlog.get_logger()


def on_disconnect(asked: OnDisconnect | None) -> OnDisconnect:
    """Returns what becomes of the jobs of an OpenAI route whose caller hangs up.

    What the caller asked for wins over the setting. A job under an `Idempotency-Key` goes on: the
    same request finds it again.
    """
    if asked is not None:
        return asked
    return "continue" if KEY_HEADER in request.headers else services().settings.on_disconnect


@contextmanager
def watch_answer(on_disconnect: OnDisconnect, job_ids: Sequence[str]) -> Iterator[None]:
    """Cancels the jobs if the caller hangs up while the block waits for them."""
    caller = connection.current()
    if on_disconnect == "continue" or caller is None:
        yield
        return
    with _watch(caller, job_ids, caller.send_interim):
        yield


def watch_stream(
    chunks: Iterator[str], on_disconnect: OnDisconnect, job_ids: Sequence[str]
) -> Iterator[str]:
    """Yields the chunks of a stream, and cancels its jobs if the caller hangs up."""
    if on_disconnect == "continue":
        yield from chunks
        return
    queue, waiters, caller = services().queue, services().waiters, connection.current()
    try:
        if caller is None:
            yield from chunks
            return
        with _watch(caller, job_ids, lambda: waiters.wake(job_ids)):
            yield from chunks
    except GeneratorExit:  # a write failed before the watcher had its turn; or our process ends
        if caller is None or caller.is_closed:
            _cancel(queue, job_ids)
        raise


@contextmanager
def _watch(caller: Connection, job_ids: Sequence[str], probe: Callable[[], None]) -> Iterator[None]:
    """Watches in a greenlet of its own, which an end of this process ends without a word."""
    watcher = gevent.spawn(_cancel_when_left, caller, services().queue, job_ids, probe)
    try:
        yield
    finally:
        watcher.kill()


def _cancel_when_left(
    caller: Connection, queue: JobQueue, job_ids: Sequence[str], probe: Callable[[], None]
) -> None:
    caller.wait_until_left(probe)
    gevent.spawn(_cancel, queue, job_ids)  # on its own: the watched block ends by it


def _cancel(queue: JobQueue, job_ids: Sequence[str]) -> None:
    for job_id in job_ids:
        try:
            cancel(queue, job_id, DISCONNECTED)
        except JobNotFound:
            continue
        except RedisError as error:
            log.warning("job of a caller that left goes on", job_id=job_id, error=str(error))
