"""The engine process's side: commands in, steps out, always one ahead of the worker."""

from __future__ import annotations

import time
from contextlib import suppress

from batcher.engine import Engine
from batcher.model_store import PreparedModel
from headrace.core.errors import EngineError
from headrace.core.jobs.failpoints import Failpoint, Failpoints
from worker.engine_process.channel import Channel
from worker.engine_process.inbox import Inbox, WorkerGone
from worker.engine_process.messages import (
    Abort,
    Add,
    Command,
    Failed,
    Loaded,
    Stepped,
    Taken,
)


def serve(engine: Engine, model: PreparedModel, channel: Channel, failpoints: Failpoints) -> None:
    """Says what was loaded, and steps whenever the engine has something to do.

    Returns when the worker is gone.
    """
    server = _Server(engine, channel, failpoints)
    with suppress(WorkerGone):
        server.say(_describe(engine, model))
        try:
            while True:
                server.turn()
        except EngineError as error:
            server.say(Failed(error))


def _describe(engine: Engine, model: PreparedModel) -> Loaded:
    return Loaded(
        name=type(engine).__name__,
        card=model.card.encode(),
        extras=model.card.encode_extras(),
        model_path=str(model.path),
        fidelity=model.fidelity,
        features=engine.features,
        room=engine.room(),
        stats=engine.stats(),
    )


class _Server:
    def __init__(self, engine: Engine, channel: Channel, failpoints: Failpoints) -> None:
        self._engine = engine
        self._channel = channel
        self._inbox = Inbox(channel)
        self._failpoints = failpoints
        self._seen = 0

    def turn(self) -> None:
        """Obeys what has come and steps once; never waits for the worker while there is work."""
        commands = self._inbox.take(waits=self._engine.is_idle)
        self._seen += len(commands)
        if any(isinstance(command, Add) for command in commands):
            self.say(Taken(self._seen))
        for command in commands:
            self._obey(command)
        if not self._engine.is_idle:
            self._step()

    def say(self, message: Loaded | Taken | Stepped | Failed) -> None:
        try:
            self._channel.send(message)
        except OSError as error:
            raise WorkerGone from error

    def _obey(self, command: Command) -> None:
        match command:
            case Add(request, resume_ids):
                self._engine.add(request, resume_ids)
            case Abort(request_id):
                self._engine.abort(request_id)

    def _step(self) -> None:
        self._failpoints.hit(Failpoint.BEFORE_ENGINE_STEP)
        began = time.monotonic()
        deltas = self._engine.step()
        ended = time.monotonic()
        self._failpoints.hit(Failpoint.AFTER_ENGINE_STEP)
        stats = self._engine.stats()
        self.say(Stepped(self._seen, ended, ended - began, deltas, stats))
