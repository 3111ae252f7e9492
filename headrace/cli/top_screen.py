"""One screen after another; a Redis or an API that is away is said on it, and waited for."""

from __future__ import annotations

from redis.exceptions import RedisError
from rich.console import Group, RenderableType
from rich.text import Text

from headrace.cli.fleet_source import FleetSource
from headrace.cli.top_view import view
from headrace.core.errors import Unavailable
from headrace.core.readings.overview import Overview
from headrace.core.redis_errors import cause_of


class Screen:
    def __init__(self, fleet: FleetSource) -> None:
        self._fleet = fleet
        self._last: Overview | None = None

    def read(self) -> Overview:
        """Raises `RedisError` or `Unavailable` when who is asked is away."""
        self._last = self._fleet.overview()
        return self._last

    def show(self) -> RenderableType:
        """What stands now. Raises as `read` does, but only where nothing was read before."""
        try:
            return view(self.read())
        except (RedisError, Unavailable) as error:
            if self._last is None:
                raise
            trouble = str(error)
            if isinstance(error, RedisError):
                trouble = f"Redis {cause_of(error)}: {error}"
            return Group(
                Text(f"{trouble}; below is what stood before", "bold red"), view(self._last)
            )
