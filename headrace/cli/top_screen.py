"""One screen after another; a Redis that is away is said on it, and waited for."""

from __future__ import annotations

from redis.exceptions import RedisError
from rich.console import Group, RenderableType
from rich.text import Text

from headrace.cli.top_view import view
from headrace.core.connection import Client
from headrace.core.readings.overview import Reader, Reading
from headrace.core.redis_errors import cause_of
from headrace.core.settings import Settings


class Screen:
    def __init__(self, redis: Client, settings: Settings) -> None:
        self._settings = settings
        self._reader = Reader(redis, settings)
        self._last: Reading | None = None

    def read(self) -> Reading:
        """Raises `redis.exceptions.RedisError` when the server is away."""
        self._last = self._reader.read()
        return self._last

    def show(self) -> RenderableType:
        """What stands now. Raises as `read` does, but only where nothing was read before."""
        try:
            return view(self.read(), self._settings)
        except RedisError as error:
            if self._last is None:
                raise
            trouble = Text(
                f"Redis {cause_of(error)}: {error}; below is what stood before", "bold red"
            )
            return Group(trouble, view(self._last, self._settings))
