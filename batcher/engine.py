"""The seam between requests and a model: the protocol every engine keeps, and the choice of one."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Protocol

from batcher.engine_choice import EngineName
from batcher.model_store import PreparedModel
from batcher.simulated import SimulatedEngine
from batcher.trial_process import TrialProcess
from headrace.core.errors import ModelError
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings
from headrace.core.types import Delta, EngineStats, Feature, Request, Room


class Engine(Protocol):
    """Runs many requests together. One thread calls it; one request's failure ends it alone."""

    @property
    def features(self) -> frozenset[Feature]:
        """What requests may ask of it that not every engine can do."""

    def add(self, request: Request, resume_ids: Sequence[int] = ()) -> None:
        """Takes a request in; `resume_ids` are tokens that an earlier attempt published.

        Generation goes on behind them: they and their text are not reported again, and count
        against `max_tokens`. Never raises for a bad request: its next delta has an `error`.
        """

    def step(self) -> list[Delta]:
        """Advances every running request by at most one token; in the order they were added."""

    def abort(self, request_id: str) -> None:
        """Frees the request's slot at once; no delta follows. Unknown ids are ignored."""

    def room(self) -> Room:
        """What `add` can take now without waiting."""

    def stats(self) -> EngineStats: ...

    def close(self) -> None:
        """Frees the model; running requests are dropped."""

    @property
    def is_idle(self) -> bool:
        """True when `step` has nothing to do."""


def import_engine(name: EngineName) -> None:
    """Imports an engine's libraries, which can take longer than loading its model.

    Raises `ModelError` where they are not installed.
    """
    try:
        if name == "torch":
            import_module("batcher.torch_engine.engine")
            import_module("batcher.torch_engine.model")
        elif name == "openvino":
            import_module("batcher.openvino_engine.engine")
    except ImportError as error:
        raise ModelError(f"engine {name} needs {error.name}, which is not installed") from error


def load_engine(settings: Settings, model: PreparedModel, worker: int | None = None) -> Engine:
    """The engine that `model` was prepared for, with it loaded and warm.

    `worker` is the number of the worker that runs it, where it has one. Raises `ModelError` for a
    model that the engine cannot run.
    """
    import_engine(model.engine)
    if model.engine == "openvino":
        return _load_openvino(settings, model)
    if model.engine == "torch":
        return _load_torch(settings, model, worker)
    return SimulatedEngine(settings, model.card)


def make_trial(settings: Settings, engine: str, card: ModelCard, model_path: Path) -> TrialProcess:
    """The helper that tries JSON schemas as the engine of a model would compile them.

    `engine` is the engine's class, one with `Feature.JSON_SCHEMA`.
    """
    limit_s, parent = settings.schema_compile_ms / 1000, str(os.getpid())
    python = [sys.executable, "-P", "-m"]
    if engine == "TorchEngine":
        command = [*python, "batcher.torch_engine.schema_trial", parent]
        return TrialProcess(command, limit_s, told=card.encode())
    command = [*python, "batcher.openvino_engine.schema_trial", str(model_path), parent]
    return TrialProcess(command, limit_s)


def _load_torch(settings: Settings, model: PreparedModel, worker: int | None) -> Engine:
    from batcher.torch_engine.engine import TorchEngine
    from batcher.torch_engine.model import is_quantised, make_ready, read_model
    from batcher.torch_engine.self_check import make_reference

    if model.fidelity is not None:  # the number format that it was measured in
        settings = settings.model_copy(update={"dtype": model.fidelity.dtype})
    plain = read_model(settings, model.path, model.card.name, worker)
    reference = make_reference(plain, model.card, is_quantised(settings))
    engine = TorchEngine(make_ready(plain, settings), settings, model.card)
    engine.warm_up(reference)
    return engine


def _load_openvino(settings: Settings, model: PreparedModel) -> Engine:
    from batcher.openvino_engine.engine import OpenVinoEngine
    from batcher.openvino_engine.pipeline import load_pipeline

    pipeline = load_pipeline(settings, model.path, model.card.context_tokens)
    engine = OpenVinoEngine(pipeline, settings, model.card)
    engine.warm_up(model.probes)
    return engine
