"""Models made ready once, for the engine that is to run them.

<models_dir>/<name>-<digest of the source>/card.jsonl   with the model's own context length
                                          /weights/     torch: safetensors, or a link to them
                                          /openvino/    OpenVINO: its model and tokenizer, or a link
                                          /openvino-refused.txt    why there is no such folder
                                          /fidelity.json    how truly each engine answers
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

from batcher.chat_probe import probe_chat
from batcher.engine_choice import EngineName, choose_engine
from batcher.exported import Exported
from batcher.fidelity.measuring import (
    Subject,
    is_far,
    measure,
    recorded,
    require_comparison,
    require_fidelity,
)
from batcher.fidelity.number_format import number_format
from batcher.fidelity.record import Probe, Record
from batcher.model_parts import CARD, OPENVINO, WEIGHTS, Parts, Progress, needed_libraries
from batcher.model_source import ModelSource, resolve_source
from headrace.core.errors import InfidelityError, ModelError
from headrace.core.fidelity import Fidelity
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings

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
    parts = Parts(settings, source, settings.models_dir / source.key, progress)
    preparation = _Preparation(parts, settings, source, parts.home, progress)
    engine = choose_engine(settings)
    if engine == "openvino" and settings.engine == "auto":
        return preparation.for_openvino_or_torch()
    return preparation.for_engine(engine)


@dataclass(frozen=True, slots=True)
class _Preparation:
    """One call of `prepare_model`; `home` is the folder of the prepared model."""

    parts: Parts
    settings: Settings
    source: ModelSource
    home: Path
    progress: Progress

    def for_engine(self, engine: EngineName) -> PreparedModel:
        of_torch = engine == "torch" or (engine == "openvino" and self.parts.is_export)
        if of_torch and self.parts.missing(engine):
            _require_runnable(self.source, self.settings.max_context_tokens)
        self.parts.make_ready(engine)
        card = probe_chat(_read_card(self.home / CARD), self.progress)
        path = self.home / {"torch": WEIGHTS, "openvino": OPENVINO, "simulated": CARD}[engine]
        context_tokens = min(card.context_tokens, self.settings.max_context_tokens)
        card = replace(card, context_tokens=context_tokens)
        return self._with_fidelity(PreparedModel(engine, path.resolve(), card))

    def for_openvino_or_torch(self) -> PreparedModel:
        """For torch where OpenVINO cannot read the model, or does not answer as it would."""
        refusal = self.home / _REFUSAL
        reader = _reader(self.parts)
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
        while model.engine == "openvino" and is_far(fidelity) and self._export_nearer(fidelity):
            record, fidelity = self._measure(model)
        if model.engine == "openvino" and self.parts.is_export:
            require_comparison(fidelity, model.card.name, self.settings)
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

    def _export_nearer(self, fidelity: Fidelity) -> bool:
        """Exports the model again in a less compressed form; False where there is none."""
        exported = Exported.read(self.home / OPENVINO)
        if exported is None or exported.next_form is None:
            return False
        self.progress(f"as {exported.form} it is {_told(fidelity)}: {exported.next_form} is tried")
        with self.parts.lock():
            if Exported.read(self.home / OPENVINO) == exported:  # no other process did it
                self.parts.make(OPENVINO, exported.next_form)
        return True

    def _measure(self, model: PreparedModel) -> tuple[Record, Fidelity]:
        with needed_libraries(self.source):
            subject = Subject(model.engine, model.path, model.card, self._origin())
        with self.parts.lock():
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
            self.parts.make_ready("torch")
        weights = path if self.source.kind == "folder" and path else self.home / WEIGHTS
        return weights if any(weights.glob("*.safetensors")) else None


def refuse_openvino(settings: Settings, reason: ModelError) -> None:
    """Has `auto` choose torch for this model from now on: what was prepared does not work here."""
    source = resolve_source(settings.model)
    parts = Parts(settings, source, settings.models_dir / source.key, lambda _stage: None)
    (parts.home / _REFUSAL).write_text(f"{_reader(parts)}{reason}\n")


def _reader(parts: Parts) -> str:
    """Names what refused a model; another version, or another way, is tried again."""
    return f"openvino-genai {version('openvino-genai')}, {parts.way}: "


def _told(fidelity: Fidelity) -> str:
    if fidelity.kl is None:
        return fidelity.note
    return (
        f"{fidelity.kl:.2g} nats a token from the model's own answers,"
        f" the same most likely token in {fidelity.top1 or 0:.1%}"
    )


def _require_runnable(source: ModelSource, context_tokens: int) -> None:
    """Raises `ModelError` for what torch cannot run, before its weights are fetched or read."""
    with needed_libraries(source):
        from batcher.model_preparation import require_runnable

        require_runnable(source, context_tokens)


def _read_card(file: Path) -> ModelCard:
    try:
        return ModelCard.decode(*file.read_text().splitlines())
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"cannot read the model card {file}: {error!r}; remove it") from error
