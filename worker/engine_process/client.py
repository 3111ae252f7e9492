"""EngineProcess: an engine that runs in a child process, one step ahead of its worker."""

from __future__ import annotations

import os
import subprocess
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from headrace.core.errors import EngineDied, EngineError
from headrace.core.fidelity import Fidelity
from headrace.core.jobs.failpoints import Failpoint, make_failpoints
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings
from headrace.core.types import Delta, EngineStats, Feature, Request, Room
from worker.engine_process.channel import Channel
from worker.engine_process.child import Launch, describe_end
from worker.engine_process.messages import (
    Abort,
    Add,
    Command,
    Failed,
    Loaded,
    Stepped,
    Taken,
)

APPROACH_S = 0.008
"""How long before a step ends the worker claims: the claim takes 2 to 6 ms to the engine."""

STEPS_KEPT = 8
"""Steps whose shortest tells when the next one ends at the earliest."""

CLOSE_S = 5.0
"""How long an engine may take to free its model."""

POLL_S = 0.2


@dataclass(slots=True)
class _Row:
    """A request that was added, with `made` output tokens so far.

    `number` is that of its command, 0 before it was sent.
    """

    request: Request
    resume_ids: Sequence[int]
    number: int = 0
    is_taken: bool = False
    made: int = 0


class EngineProcess:
    """The worker's end. One thread calls it, the main one, but for `stats`, `name` and `features`.

    `add` takes effect with the next `step`, `abort` at the end of the step that runs. `card`,
    `fidelity` and `model_path` describe the model that the engine has loaded.
    """

    def __init__(self, settings: Settings, launch: Launch) -> None:
        """Starts the process and waits until its engine is loaded.

        Raises `ModelError` for a model that cannot be prepared or run, `EngineError` where the
        process ends before it has loaded it.
        """
        self._stall_s = settings.engine_stall_s
        self._launch = launch
        self._failpoints = make_failpoints(settings.failpoints)
        self._child_failpoints = settings.failpoints
        self._rows: dict[str, _Row] = {}
        self._sent = 0
        self._earlier = EngineStats()
        self._pace: deque[float] = deque(maxlen=STEPS_KEPT)
        self._stepped_at = 0.0
        self._steps: list[Stepped] = []
        self._start(lambda: False)

    # -- the engine's protocol -------------------------------------------------------------------

    @property
    def name(self) -> str:
        return self._loaded.name

    @property
    def features(self) -> frozenset[Feature]:
        return self._loaded.features

    @property
    def is_idle(self) -> bool:
        return not self._rows

    def add(self, request: Request, resume_ids: Sequence[int] = ()) -> None:
        if request.id in self._rows:
            raise ValueError(f"request {request.id} is in the engine already")
        self._rows[request.id] = _Row(request, resume_ids, made=len(resume_ids))

    def abort(self, request_id: str) -> None:
        row = self._rows.pop(request_id, None)
        if row is not None and row.number:
            self._send([Abort(request_id)])

    def step(self) -> list[Delta]:
        """Waits for one step at least. Raises `EngineDied`."""
        self._send_rows()
        while self._rows and not self._steps:
            self._await_news()
        steps, self._steps = self._steps, []
        brought: dict[str, Delta] = {}
        for delta in chain.from_iterable(map(self._current_deltas, steps)):
            earlier = brought.get(delta.request_id)
            brought[delta.request_id] = earlier.then(delta) if earlier else delta
        ordered = [brought[request_id] for request_id in self._rows if request_id in brought]
        for delta in ordered:
            self._rows[delta.request_id].made += len(delta.token_ids)
            if delta.is_last:
                del self._rows[delta.request_id]
        return ordered

    def room(self) -> Room:
        """Computes the room as the engine itself does, without asking it."""
        whole = self._loaded.room
        slots = max(0, whole.slots - len(self._rows))
        left = whole.tokens - sum(row.request.kept_tokens(row.made) for row in self._rows.values())
        return Room(slots, left if slots else min(0, left))

    def stats(self) -> EngineStats:
        return replace(self._stats.plus(self._earlier), running=len(self._rows))

    def close(self) -> None:
        self._rows.clear()
        self._channel.close()
        try:
            self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._stop()

    # -- what a child process adds to it ---------------------------------------------------------

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def card(self) -> ModelCard:
        return self._card

    @property
    def fidelity(self) -> Fidelity | None:
        return self._loaded.fidelity

    @property
    def model_path(self) -> Path:
        return Path(self._loaded.model_path)

    def approach(self) -> None:
        if self._pace and any(row.is_taken for row in self._rows.values()):
            end = self._stepped_at + min(self._pace) - APPROACH_S
            self._channel.has_news(max(0.0, end - time.monotonic()))

    def check(self) -> None:
        if self._process.poll() is not None:
            raise self._died()

    def restart(self, is_over: Callable[[], bool]) -> bool:
        self._rows.clear()
        self._stop()
        self._child_failpoints = ""  # they have had their effect
        self._earlier = self._stats.plus(self._earlier)
        return self._start(is_over)

    # -- starting ----------------------------------------------------------------------------------

    def _start(self, is_over: Callable[[], bool]) -> bool:
        self._channel, theirs = Channel.pair(self._stall_s)
        self._sent, self._stats, self._ending = 0, EngineStats(), ""
        self._is_silent = False
        self._steps = []
        self._pace.clear()
        try:
            self._process = self._launch(theirs, self._child_failpoints)
        finally:
            os.close(theirs)
        try:
            return self._await_engine(is_over)
        except BaseException:
            self._stop()
            raise

    def _await_engine(self, is_over: Callable[[], bool]) -> bool:
        while not self._channel.has_news(POLL_S):
            if is_over():
                self._stop()
                return False
        try:
            message = self._channel.receive()
        except (EOFError, OSError) as error:
            raise EngineError(f"the engine process {self._end()} while it loaded") from error
        if isinstance(message, Failed):
            raise message.error
        self._loaded: Loaded = message
        self._stats = message.stats
        self._card = ModelCard.decode(message.card, message.extras)
        return True

    def _stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._channel.close()

    # -- talking ---------------------------------------------------------------------------------

    def _send_rows(self) -> None:
        fresh = [row for row in self._rows.values() if not row.number]
        for place, row in enumerate(fresh, start=1):
            row.number = self._sent + place
        if fresh:
            self._send([Add(row.request, row.resume_ids) for row in fresh])
            self._failpoints.hit(Failpoint.AFTER_SEND)

    def _send(self, commands: Sequence[Command]) -> None:
        self._sent += len(commands)
        try:
            self._channel.send(commands)
        except BlockingIOError:
            self._kill("it did not read")
        except OSError:
            return  # it has died: `step` will say so, behind what it had said before

    def _await_news(self) -> None:
        """Raises `EngineDied` where none will come any more."""
        if self._is_silent:
            raise self._died()
        if self._channel.has_news(self._stall_s):
            self._listen()
        else:
            self._kill("it said nothing")
            self._is_silent = True

    def _kill(self, why: str) -> None:
        self._ending = f"was killed: {why} for {self._stall_s:g} s"
        self._process.kill()

    def _listen(self) -> None:
        """Takes in all that has come."""
        while not self._is_silent and self._channel.has_news():
            try:
                message = self._channel.receive()
            except (EOFError, OSError):
                self._is_silent = True
                return
            match message:
                case Taken(seen):
                    self._note_taken(seen)
                case Failed(error):
                    self._is_silent, self._ending = True, f"gave up: {error}"
                case _:
                    self._steps.append(message)

    def _note_taken(self, seen: int) -> None:
        for row in self._rows.values():
            row.is_taken = row.is_taken or 0 < row.number <= seen

    def _current_deltas(self, step: Stepped) -> list[Delta]:
        """Those of the rows that are there, and not of rows that had their ids before."""
        self._stats = step.stats
        self._pace.append(step.seconds)
        self._stepped_at = step.ended
        return [delta for delta in step.deltas if self._is_current(delta.request_id, step.seen)]

    def _is_current(self, request_id: str, seen: int) -> bool:
        row = self._rows.get(request_id)
        return row is not None and 0 < row.number <= seen

    # -- ending ----------------------------------------------------------------------------------

    def _died(self) -> EngineDied:
        ran = frozenset(request_id for request_id, row in self._rows.items() if row.is_taken)
        ending = self._end()
        self._channel.close()
        return EngineDied(f"the engine process {self._ending or ending}", ran)

    def _end(self) -> str:
        """How it ended; killed where it has closed its pipe and lives on."""
        try:
            code = self._process.wait(CLOSE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        return describe_end(code)
