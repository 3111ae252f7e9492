"""What a job costs the wire: round trips and commands, counted where a client sends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bench.contender import Contender
from bench.server import Server, empty
from headrace.core.connection import Client


@dataclass
class Sent:
    """What all connections of a client sent so far; a pipeline is one trip of many commands."""

    trips: int = 0
    commands: int = 0


@dataclass(frozen=True)
class Traffic:
    """`inner` also counts each command that a script runs inside the server."""

    trips_per_job: float
    trips_per_batch: float
    commands_per_job: float
    inner_per_job: float


def counting_client(server: Server) -> tuple[Client, Sent]:
    redis, sent = server.client(), Sent()
    pool = redis.connection_pool
    connection_class: Any = pool.connection_class

    class Counting(connection_class):  # type: ignore[misc]
        def send_packed_command(self, command: Any, check_health: bool = True) -> None:
            sent.trips += 1
            super().send_packed_command(command, check_health)

        def send_command(self, *parts: Any, **options: Any) -> None:
            sent.commands += 1
            super().send_command(*parts, **options)

        def pack_commands(self, commands: Sequence[Any]) -> Any:
            sent.commands += len(commands)
            return super().pack_commands(commands)

    pool.connection_class = Counting
    return redis, sent


def measure(contender: Contender, sent: Sent, jobs: int) -> Traffic:
    """Counts runs of `jobs` and of twice as many: what a worker's life costs cancels out.

    `contender` must use the client that `sent` belongs to.
    """
    _count(contender, sent, jobs)  # loads the scripts
    small, large = _count(contender, sent, jobs), _count(contender, sent, 2 * jobs)
    trips, commands, inner, batches = (b - a for a, b in zip(small, large, strict=True))
    return Traffic(
        trips_per_job=round(trips / jobs, 3),
        trips_per_batch=round(trips / batches, 3),
        commands_per_job=round(commands / jobs, 3),
        inner_per_job=round(inner / jobs, 2),
    )


def _count(contender: Contender, sent: Sent, jobs: int) -> tuple[int, int, int, int]:
    """Trips, commands, commands inside the server, and batches of one run."""
    empty(contender.redis)
    contender.fill(jobs)
    contender.redis.config_resetstat()
    trips, commands = sent.trips, sent.commands
    _seconds, batches = contender.work()
    inner = sum(command["calls"] for command in contender.redis.info("commandstats").values())
    return sent.trips - trips, sent.commands - commands, inner, batches
