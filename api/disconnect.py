"""Sees that a caller has gone away, and cancels what it asked for where it wants that."""

from __future__ import annotations

import select
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import gevent
import structlog
from flask import request
from redis.exceptions import RedisError

from api.cancellation import cancel
from api.schemas import OnDisconnect
from api.services import services
from headrace.core.errors import JobNotFound
from headrace.core.jobs.queue import JobQueue

log = structlog.get_logger()


@contextmanager
def watch_disconnect(on_disconnect: OnDisconnect, job_ids: Sequence[str]) -> Iterator[None]:
    """While the block waits or streams: if the caller's connection closes, its jobs are cancelled.

    Only a connection that is silent can be watched: a caller that sends its next request before
    this one is answered is taken to stay.
    """
    if on_disconnect == "continue":
        yield
        return
    queue, connection = services().queue, request.environ.get("gunicorn.socket")
    watcher = gevent.spawn(_watch, connection, queue, job_ids)
    try:
        yield
    except GeneratorExit:  # a write failed before the watcher had its turn; or our own process ends
        if connection is None or _is_closed(connection):
            _cancel(queue, job_ids)
        raise
    finally:
        watcher.kill()


def while_connected(
    chunks: Iterator[str], on_disconnect: OnDisconnect, job_ids: Sequence[str]
) -> Iterator[str]:
    """The same chunks of a stream, watched."""
    with watch_disconnect(on_disconnect, job_ids):
        yield from chunks


def _watch(connection: socket.socket | None, queue: JobQueue, job_ids: Sequence[str]) -> None:
    if connection is not None and _closes(connection):
        gevent.spawn(_cancel, queue, job_ids)  # on its own: the watched block ends by it


def _is_closed(connection: socket.socket) -> bool:
    readable, _, _ = select.select([connection], [], [], 0)
    return bool(readable) and _closes(connection)


def _closes(connection: socket.socket) -> bool:
    """Waits until the caller closes it: True; or until it sends something."""
    try:
        return connection.recv(1, socket.MSG_PEEK) == b""
    except OSError:
        return True


def _cancel(queue: JobQueue, job_ids: Sequence[str]) -> None:
    for job_id in job_ids:
        try:
            cancel(queue, job_id)
        except JobNotFound:
            continue
        except RedisError as error:
            log.warning("job of a caller that left goes on", job_id=job_id, error=str(error))
