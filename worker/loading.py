"""From settings to a loaded engine, in whichever process it is to run."""

from __future__ import annotations

import time

import structlog

from batcher.engine import Engine, import_engine, load_engine
from batcher.model_store import PreparedModel, prepare_model, refuse_openvino
from headrace.core.errors import SelfCheckError
from headrace.core.roster import number_of
from headrace.core.settings import Settings

log = structlog.get_logger()


def load(settings: Settings, worker: str) -> tuple[PreparedModel, Engine]:
    """Prepares the model, and loads the engine that it was prepared for.

    `auto` takes torch for a model that fails its self-check on OpenVINO. Raises `ModelError` for
    a model that cannot be prepared or run.
    """
    try:
        return _load(settings, worker)
    except SelfCheckError as error:
        if settings.engine != "auto":
            raise
        log.warning("engine refused", engine="openvino", reason=str(error), instead="torch")
        refuse_openvino(settings, error)
        return _load(settings, worker)


def _load(settings: Settings, worker: str) -> tuple[PreparedModel, Engine]:
    started = time.monotonic()
    model = prepare_model(settings, lambda stage: log.info("preparing the model", stage=stage))
    prepared = time.monotonic()
    import_engine(model.engine)
    imported = time.monotonic()
    engine = load_engine(settings, model, number_of(worker))
    log.info(
        "engine loaded",
        engine=type(engine).__name__,
        model=model.card.name,
        dtype=model.fidelity and model.fidelity.dtype,
        kl=model.fidelity and model.fidelity.kl,
        prepare_s=round(prepared - started, 2),
        import_s=round(imported - prepared, 2),
        load_s=round(time.monotonic() - imported, 2),
    )
    return model, engine
