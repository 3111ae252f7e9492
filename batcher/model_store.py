"""Models made ready once, for the engine that is to run them.

<models_dir>/<name>-<digest of the source>/card.json    with the model's own context length
                                          /weights/     torch: safetensors, or a link to them
                                          /openvino/    OpenVINO: its model and tokenizer, or a link
                                          /openvino-refused.txt    why there is no such folder
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from batcher.engine_choice import EngineName, choose_engine, may_be_openvino
from batcher.model_source import OPENVINO_MODEL, ModelSource, resolve_source
from headrace.core.errors import ModelError
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings

Progress = Callable[[str], None]
"""Told what is being done, in a few words, whenever that changes."""

CARD, WEIGHTS, OPENVINO = "card.json", "weights", "openvino"
"""The parts of a prepared model."""

_PROOF = {CARD: "", WEIGHTS: "config.json", OPENVINO: OPENVINO_MODEL}
"""A file of each part that is there only when the part is."""

_REFUSAL = "openvino-refused.txt"


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """`path` is what `engine` loads; `card` heeds the settings."""

    engine: EngineName
    path: Path
    card: ModelCard


def prepare_model(settings: Settings, progress: Progress) -> PreparedModel:
    """Finds, converts and describes the model of `settings.model`; the second time it only reads.

    Chooses the engine, too. Processes that prepare the same model at once wait for the first. A
    crash leaves nothing that counts as prepared. Raises `ModelError`, saying what was tried.
    """
    source = resolve_source(settings.model)
    home = settings.models_dir / source.key
    engine = choose_engine(settings, source)
    if engine == "openvino" and settings.engine == "auto":
        engine = _try_openvino(source, home, progress)
    else:
        if engine == "torch" and _missing(source, home, engine):
            _require_runnable(source, settings.max_context_tokens)
        _make_ready(source, home, engine, progress)
    card = _read_card(home / CARD)
    context_tokens = min(card.context_tokens, settings.max_context_tokens)
    path = home / {"torch": WEIGHTS, "openvino": OPENVINO, "simulated": CARD}[engine]
    return PreparedModel(engine, path.resolve(), replace(card, context_tokens=context_tokens))


def _try_openvino(source: ModelSource, home: Path, progress: Progress) -> EngineName:
    """Makes the model ready for OpenVINO or, where that cannot read it, for torch."""
    refusal, reader = home / _REFUSAL, f"openvino-genai {version('openvino-genai')}: "
    if refusal.is_file() and refusal.read_text().startswith(reader):
        _make_ready(source, home, "torch", progress)
        return "torch"
    try:
        _make_ready(source, home, "openvino", progress)
        return "openvino"
    except ModelError as error:
        progress(f"{error}; torch is tried")
        reason = f"{reader}{error}\n"
    _make_ready(source, home, "torch", progress)
    refusal.write_text(reason)
    return "torch"


def _require_runnable(source: ModelSource, context_tokens: int) -> None:
    """Raises `ModelError` for what torch cannot run, before its weights are fetched or read."""
    with _needed_libraries(source):
        from batcher.model_preparation import require_runnable

        require_runnable(source, context_tokens)


def _make_ready(source: ModelSource, home: Path, engine: EngineName, progress: Progress) -> None:
    if not _missing(source, home, engine):
        return
    _make_folder(home.parent)
    with _lock(home.with_name(f"{home.name}.lock"), progress):
        for part in _missing(source, home, engine):
            _make(part, source, home, progress)


def _missing(source: ModelSource, home: Path, engine: EngineName) -> list[str]:
    """The parts still to be made, in this order."""
    parts = [CARD]
    if engine == "openvino":
        parts.insert(0, OPENVINO)
    if engine == "torch" or source.kind == "hub":  # a card is read from files, not from a hub
        parts.insert(0, WEIGHTS)
    return [part for part in parts if not (home / part / _PROOF[part]).is_file()]


def _read_card(file: Path) -> ModelCard:
    try:
        return ModelCard.decode(file.read_text())
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"cannot read the model card {file}: {error!r}; remove it") from error


def _make(part: str, source: ModelSource, home: Path, progress: Progress) -> None:
    """Makes a part beside `home`, then moves it there."""
    draft = home.with_name(f".{home.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir()
        with _needed_libraries(source):
            _write(part, source, home, draft / part, progress)
        home.mkdir(exist_ok=True)
        _remove(home / part)
        (draft / part).rename(home / part)
    except OSError as error:
        raise ModelError(f"cannot prepare model {source.name} in {home}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@contextmanager
def _needed_libraries(source: ModelSource) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ModelError(
            f"preparing model {source.name} needs {error.name}: pip install 'headrace[worker]'"
        ) from error


def _write(part: str, source: ModelSource, home: Path, target: Path, progress: Progress) -> None:
    # Imported late: these libraries take seconds, and a prepared model needs none of them.
    if part == OPENVINO:
        _write_openvino(source, target, progress)
        return
    from batcher.model_preparation import build_card, make_weights

    if part == WEIGHTS:
        make_weights(source, target, progress)
        return
    progress("reading the tokenizer")
    target.write_text(build_card(source, source.path or home / WEIGHTS).encode())


def _write_openvino(source: ModelSource, folder: Path, progress: Progress) -> None:
    if source.path is None or not may_be_openvino(source):
        raise ModelError(
            f"engine openvino reads GGUF files and folders with {OPENVINO_MODEL}, not {source.name}"
        )
    if source.kind == "folder":
        folder.symlink_to(source.path)
        return
    from batcher.openvino_engine.preparation import convert_gguf

    progress("converting the GGUF file for OpenVINO")
    convert_gguf(source.path, folder)


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(f"cannot make the folder of prepared models: {error}") from error


@contextmanager
def _lock(file: Path, progress: Progress) -> Iterator[None]:
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress("waiting for another process that prepares this model")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
