"""Messages between a worker and its engine process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from headrace.core.errors import HeadraceError
from headrace.core.fidelity import Fidelity
from headrace.core.types import Delta, EngineStats, Feature, Request, Room


class Add(NamedTuple):
    """The worker has one more request for the engine."""

    request: Request
    resume_ids: Sequence[int]


class Abort(NamedTuple):
    """The worker no longer wants a request."""

    request_id: str


class Loaded(NamedTuple):
    """The engine is ready. `card` and `extras` are the encoded model card.

    `model_path` is the file or folder that it has loaded.
    """

    name: str
    card: str
    extras: str
    model_path: str
    fidelity: Fidelity | None
    features: frozenset[Feature]
    room: Room
    stats: EngineStats


class Taken(NamedTuple):
    """The engine is about to take in the first `seen` commands: from here on they run in it."""

    seen: int


class Stepped(NamedTuple):
    """One step is over, at `ended` of the machine's monotonic clock, after `seconds`.

    It heeded the first `seen` commands.
    """

    seen: int
    ended: float
    seconds: float
    deltas: Sequence[Delta]
    stats: EngineStats


class Failed(NamedTuple):
    """The engine cannot be loaded, or cannot go on."""

    error: HeadraceError


Command = Add | Abort
