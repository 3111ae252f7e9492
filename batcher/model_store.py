"""Models made ready once, for the engine that is to run them.

<models_dir>/<name>-<digest of the source>/card.jsonl   with the model's own context length
                                          /weights/     torch: safetensors, or a link to them
                                          /openvino/    OpenVINO: its model and tokenizer, or a link
                                          /openvino-refused.txt    why there is no such folder
                                          /fidelity.json    how truly each engine answers
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from batcher.chat_probe import probe_chat
from batcher.engine_choice import EngineName, choose_engine, may_be_openvino
from batcher.fidelity.measuring import Subject, is_far, measure, recorded, require_fidelity
from batcher.fidelity.number_format import number_format
from batcher.fidelity.record import Probe, Record
from batcher.model_source import CONVERTED, OPENVINO_MODEL, ModelSource, resolve_source
from headrace.core.errors import InfidelityError, ModelError
from headrace.core.fidelity import Fidelity
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings

Progress = Callable[[str], None]
"""Told what is being done, in a few words, whenever that changes."""

CARD, WEIGHTS, OPENVINO = "card.jsonl", "weights", "openvino"
"""The parts of a prepared model.

A card is a line that its hash covers and a line of extras. Earlier versions keep the first one
alone, in `card.json`: they may use the same folder.
"""

_REFUSAL = "openvino-refused.txt"


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """`path` is what `engine` loads; `card` heeds the settings.

    `fidelity` is None for a simulated engine, which has no model to answer for. `probes` are
    tokens that the model itself would choose.
    """

    engine: EngineName
    path: Path
    card: ModelCard
    fidelity: Fidelity | None = None
    probes: tuple[Probe, ...] = ()


def prepare_model(settings: Settings, progress: Progress) -> PreparedModel:
    """Finds, converts and describes the model of `settings.model`; the second time it only reads.

    Chooses the engine, too. Processes that prepare the same model at once wait for the first. A
    crash leaves nothing that counts as prepared. Raises `ModelError`, saying what was tried, also
    for an engine that answers otherwise than its model.
    """
    source = resolve_source(settings.model)
    preparation = _Preparation(settings, source, settings.models_dir / source.key, progress)
    engine = choose_engine(settings, source)
    if engine == "openvino" and settings.engine == "auto":
        return preparation.for_openvino_or_torch()
    return preparation.for_engine(engine)


@dataclass(frozen=True, slots=True)
class _Preparation:
    """One call of `prepare_model`; `home` is the folder of the prepared model."""

    settings: Settings
    source: ModelSource
    home: Path
    progress: Progress

    def for_engine(self, engine: EngineName) -> PreparedModel:
        if engine == "torch" and _missing(self.source, self.home, engine):
            _require_runnable(self.source, self.settings.max_context_tokens)
        _make_ready(self.source, self.home, engine, self.progress)
        card = probe_chat(_read_card(self.home / CARD), self.progress)
        path = self.home / {"torch": WEIGHTS, "openvino": OPENVINO, "simulated": CARD}[engine]
        context_tokens = min(card.context_tokens, self.settings.max_context_tokens)
        card = replace(card, context_tokens=context_tokens)
        return self._with_fidelity(PreparedModel(engine, path.resolve(), card))

    def for_openvino_or_torch(self) -> PreparedModel:
        """For torch where OpenVINO cannot read the model, or does not answer as it would."""
        refusal = self.home / _REFUSAL
        reader = f"openvino-genai {version('openvino-genai')}, {CONVERTED}: "
        if refusal.is_file() and refusal.read_text().startswith(reader):
            return self.for_engine("torch")
        try:
            return self.for_engine("openvino")
        except InfidelityError as error:  # its record remembers that by itself
            self.progress(f"{error}; torch is tried")
            return self.for_engine("torch")
        except ModelError as error:
            self.progress(f"{error}; torch is tried")
            prepared = self.for_engine("torch")
            refusal.write_text(f"{reader}{error}\n")
            return prepared

    def _with_fidelity(self, model: PreparedModel) -> PreparedModel:
        if model.engine == "simulated":
            return model
        dtype = number_format(self.settings, model.engine)
        if model.engine == "torch" and self.settings.dtype == "auto" and dtype == "int8":
            return self._int8_or_float32(model)
        record, fidelity = recorded(self.settings, self.home, model.engine)
        if fidelity is None:
            record, fidelity = self._measure(model)
        require_fidelity(fidelity, model.engine, model.card.name, self.settings)
        probes = () if is_far(fidelity) else record.probes
        return replace(model, fidelity=fidelity, probes=probes)

    def _int8_or_float32(self, model: PreparedModel) -> PreparedModel:
        """In 8 bits only where that is known to answer as the model does."""
        try:
            found = self._with(dtype="int8", accept_infidelity=False)._with_fidelity(model)
            if found.fidelity is not None and found.fidelity.kl is not None:
                return found
            self.progress("int8 is not compared with the model; float32 is taken")
        except InfidelityError as error:
            self.progress(f"{error}; float32 is taken")
        return self._with(dtype="float32")._with_fidelity(model)

    def _with(self, **changes: object) -> _Preparation:
        return replace(self, settings=self.settings.model_copy(update=changes))

    def _measure(self, model: PreparedModel) -> tuple[Record, Fidelity]:
        with _needed_libraries(self.source):
            subject = Subject(model.engine, model.path, model.card, self._origin())
        with _lock(self.home.with_name(f"{self.home.name}.lock"), self.progress):
            record, fidelity = recorded(self.settings, self.home, model.engine)
            if fidelity is None:
                self.progress("comparing its answers with the model's own")
                record, fidelity = measure(self.settings, self.home, subject)
                self.progress(_told(fidelity))
        return record, fidelity

    def _origin(self) -> Path | None:
        """The file or folder of the model itself; None where only OpenVINO's files are known."""
        from batcher.fidelity.reference import can_be_read

        path = self.source.path
        if self.source.kind == "gguf" and path is not None:
            if can_be_read(path):
                return path
            _make_ready(self.source, self.home, "torch", self.progress)
        weights = path if self.source.kind == "folder" and path else self.home / WEIGHTS
        return weights if any(weights.glob("*.safetensors")) else None


def _told(fidelity: Fidelity) -> str:
    if fidelity.kl is None:
        return fidelity.note
    return (
        f"{fidelity.kl:.2g} nats a token from the model's own answers,"
        f" the same most likely token in {fidelity.top1 or 0:.1%}"
    )


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
    return [part for part in parts if not (home / part / _proof(part, source)).is_file()]


def _proof(part: str, source: ModelSource) -> str:
    """A file of the part that is there only where all of it is, as this version makes it."""
    converted = CONVERTED if source.kind == "gguf" else OPENVINO_MODEL
    return {CARD: "", WEIGHTS: "config.json", OPENVINO: converted}[part]


def _read_card(file: Path) -> ModelCard:
    try:
        return ModelCard.decode(*file.read_text().splitlines())
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
    card = build_card(source, source.path or home / WEIGHTS, progress)
    target.write_text(f"{card.encode()}\n{card.encode_extras()}\n")


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
