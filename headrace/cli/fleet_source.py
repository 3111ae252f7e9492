"""Where the commands that show a deployment read it: from its API, or from its Redis."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import click
from click.core import ParameterSource

from headrace.cli.api_options import api_key_option
from headrace.cli.setting_option import setting_options, settings_from

if TYPE_CHECKING:
    from headrace.cli.api_client import ApiClient
    from headrace.core.connection import Client
    from headrace.core.decision_log import Record
    from headrace.core.readings.overview import Overview
    from headrace.core.readings.slo import SloReading
    from headrace.core.settings import Settings

Command = Callable[..., Any]
Reading = TypeVar("Reading")

OWN = ("redis_url", "state_dir")


class FleetSource(Protocol):
    """Raises `Unavailable` or `redis.exceptions.RedisError` while nothing answers."""

    def overview(self) -> Overview: ...

    def slo(self) -> SloReading: ...

    def decisions(self, limit: int) -> Sequence[Record]:
        """Return the newest, the oldest of them first."""


class RedisSource:
    def __init__(self, redis: Client, settings: Settings) -> None:
        from headrace.core.readings.overview import Reader

        self._redis, self._settings = redis, settings
        self._reader = Reader(redis, settings)

    def overview(self) -> Overview:
        return self._reader.read()

    def slo(self) -> SloReading:
        from headrace.core.readings.slo import read

        return read(self._redis, self._settings)

    def decisions(self, limit: int) -> Sequence[Record]:
        from headrace.core.decision_log import decisions

        return decisions(self._redis, limit)


class ApiSource:
    """The caller's key needs the scope `fleet:read`."""

    def __init__(self, client: ApiClient) -> None:
        self._client = client

    def overview(self) -> Overview:
        from headrace.core.readings.overview import Overview

        return self._read(Overview, "/v1/fleet/overview")

    def slo(self) -> SloReading:
        from headrace.core.readings.slo import SloReading

        return self._read(SloReading, "/v1/fleet/slo")

    def decisions(self, limit: int) -> Sequence[Record]:
        from headrace.core.decision_log import Record
        from headrace.core.readings.wire import from_json

        answer = self._client.get("/v1/fleet/decisions", limit=limit)
        return [from_json(Record, each) for each in answer["data"]]

    def _read(self, kind: type[Reading], path: str) -> Reading:
        from headrace.core.readings.wire import from_json

        return from_json(kind, self._client.get(path))


def fleet_options() -> Callable[[Command], Command]:
    """Add the options that `open_fleet` takes."""

    def add(function: Command) -> Command:
        for option in (
            setting_options(*OWN),
            api_key_option(),
            click.option(
                "--url",
                envvar="HEADRACE_URL",
                show_envvar=True,
                help="An API to ask; without it, the deployment's Redis.",
            ),
        ):
            function = option(function)
        return function

    return add


@contextmanager
def open_fleet(options: dict[str, str | None]) -> Iterator[FleetSource]:
    """Yield the API of --url, else the Redis of REDIS_URL or of the state folder.

    Raises `Unavailable` where it does not answer.
    """
    url, api_key = options.pop("url"), options.pop("api_key")
    if _names_api(options):
        from headrace.cli.api_client import ApiClient

        yield ApiSource(ApiClient(url or "", api_key))
        return
    from headrace.cli.deployment_redis import open_redis

    settings = settings_from(options)
    with open_redis(settings) as redis:
        yield RedisSource(redis, settings)


def _names_api(options: dict[str, str | None]) -> bool:
    """Return whether an API was named: by an option, or by a variable where no Redis was."""
    source = click.get_current_context().get_parameter_source("url")
    names_redis = any(value is not None for value in options.values())
    if source is ParameterSource.COMMANDLINE and names_redis:
        raise click.UsageError("--url asks an API; --redis-url and --state-dir name a Redis")
    if source is ParameterSource.ENVIRONMENT:
        return not names_redis and settings_from({}).redis_url is None
    return source is ParameterSource.COMMANDLINE
