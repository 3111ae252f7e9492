"""Errors of Redis: which pass by themselves, and what is the matter, as real servers say it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from redis._parsers.base import BaseParser
from redis.exceptions import AuthenticationError, NoScriptError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from headrace.core.connection import Client
from headrace.core.jobs.leases import Leases
from headrace.core.jobs.queue import JobQueue
from headrace.core.redis_errors import CAUSES, cause_of, error_code, passes_by_itself, words_of
from headrace.core.settings import Settings
from headrace.core.types import Room
from tests.fakes import make_request

STATES = [
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
    "CLUSTERDOWN The cluster is down",
    "LOADING Redis is loading the dataset in memory",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
    "MISCONF Errors writing to the AOF file: No space left on device",
    "NOPERM User default has no permissions to run the 'evalsha' command",
    "NOREPLICAS Not enough good replicas to write.",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "TRYAGAIN Multiple keys request during rehashing of slot",
    "UNBLOCKED force unblock from blocking operation, instance state changed",
    "WRONGPASS invalid username-password pair or user is disabled.",
]


def as_the_client_raises(line: str) -> RedisError:
    error: RedisError = BaseParser.parse_error(line)  # type: ignore[no-untyped-call]
    return error


@pytest.mark.parametrize("line", STATES)
def test_a_state_of_the_server_passes_and_is_named(line: str) -> None:
    error = as_the_client_raises(line)

    assert passes_by_itself(error)
    assert cause_of(error).startswith(CAUSES[line.split()[0]])


@pytest.mark.parametrize("line", [line for line in STATES if line[:4] not in ("LOAD", "WRON")])
@pytest.mark.parametrize(
    "wrapped",
    [
        "ERR Error running script (call to f_ab): @user_script:7: {}",
        "EXECABORT Transaction discarded because of: {}",
        "{} script: 0a1b, on @user_script:310.",
    ],
)
def test_a_state_that_a_script_or_a_transaction_passes_on_is_found(line: str, wrapped: str) -> None:
    error = as_the_client_raises(wrapped.format(line))

    assert passes_by_itself(error)
    assert error_code(error) == line.split()[0]


def test_a_code_that_nobody_has_heard_of_is_a_state_of_the_server() -> None:
    error = as_the_client_raises("NEWSTATE come again")

    assert passes_by_itself(error)
    assert cause_of(error) == "refuses the call (NEWSTATE)"


@pytest.mark.parametrize(
    "error",
    [
        RedisConnectionError("gone"),
        RedisTimeoutError("late"),
        AuthenticationError("no"),
        NoScriptError("No matching script.", status_code="NOSCRIPT"),
        ResponseError("UNBLOCKED client unblocked via CLIENT UNBLOCK"),
    ],
)
def test_a_server_that_is_away_or_forgot_a_script_is_waited_for(error: RedisError) -> None:
    assert passes_by_itself(error)


@pytest.mark.parametrize(
    "line",
    [
        "WRONGTYPE Operation against a key holding the wrong kind of value",
        "ERR unknown command 'FLY'",
        "ERR value is not an integer or out of range",
    ],
)
def test_an_error_of_the_call_itself_is_not_waited_for(line: str) -> None:
    assert not passes_by_itself(as_the_client_raises(line))


def test_the_words_of_an_error_leave_out_the_command(redis: Client) -> None:
    redis.set("text", "x")
    with pytest.raises(ResponseError) as raised, redis.pipeline() as pipeline:
        pipeline.hset("text", "prompt", "a secret")
        pipeline.execute()

    assert "a secret" in str(raised.value)
    assert "secret" not in words_of(raised.value)
    assert "Operation against a key" in words_of(raised.value)
    assert error_code(raised.value) == "WRONGTYPE"


# -- as a real server says it ----------------------------------------------------------------------


@contextmanager
def replica(redis: Client) -> Iterator[None]:
    redis.replicaof("127.0.0.1", 1)
    try:
        yield
    finally:
        redis.replicaof("NO", "ONE")


@contextmanager
def too_few_replicas(redis: Client) -> Iterator[None]:
    redis.config_set("min-replicas-to-write", 1)
    try:
        yield
    finally:
        redis.config_set("min-replicas-to-write", 0)


@contextmanager
def scripts_forbidden(redis: Client) -> Iterator[None]:
    redis.execute_command("ACL SETUSER default -evalsha")
    try:
        yield
    finally:
        redis.execute_command("ACL SETUSER default +evalsha")


@contextmanager
def no_memory(redis: Client) -> Iterator[None]:
    redis.config_set("maxmemory", 1)
    try:
        yield
    finally:
        redis.config_set("maxmemory", 0)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (replica, "READONLY"),
        (too_few_replicas, "NOREPLICAS"),
        (scripts_forbidden, "NOPERM"),
        (no_memory, "OOM"),
    ],
)
def test_every_call_of_a_submission_names_the_state(
    redis: Client, settings: Settings, state: Callable[[Client], Iterator[None]], code: str
) -> None:
    queue = JobQueue(redis, settings)
    with state(redis), pytest.raises(RedisError) as raised:  # type: ignore[attr-defined]
        queue.submit(make_request())

    assert error_code(raised.value) == code
    assert passes_by_itself(raised.value)


@pytest.mark.parametrize("state", [replica, too_few_replicas, scripts_forbidden])
def test_a_sweep_of_a_server_that_takes_no_renewal_fails_as_well(
    redis: Client, settings: Settings, state: Callable[[Client], Iterator[None]]
) -> None:
    leases = Leases(redis, settings)
    with state(redis), pytest.raises(RedisError):  # type: ignore[attr-defined]
        leases.sweep()


def test_leases_are_renewed_on_a_server_without_memory(redis: Client, settings: Settings) -> None:
    queue, leases = JobQueue(redis, settings), Leases(redis, settings)
    queue.submit(make_request())
    claims = queue.claim("worker-1", Room(1, 1000)).claims
    with no_memory(redis):
        assert leases.renew(claims) == 1
