"""How truly a prepared model answers on this machine: measured the first time, then read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from batcher.engine_choice import EngineName
from batcher.exported import Exported
from batcher.fidelity.number_format import number_format
from batcher.fidelity.prose import sample_ids
from batcher.fidelity.record import RECORD, Probe, Record, key_of, probes_of
from batcher.model_parts import OPENVINO
from batcher.model_source import CONVERTED
from headrace.core.errors import InfidelityError, ModelError
from headrace.core.fidelity import MOST_KL, Fidelity
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings, variable

PACKAGES = {"openvino": ("openvino-genai",), "torch": ("torch", "transformers")}
"""What computes: other versions may compute otherwise, so that a model is measured again."""

UNBOUNDED = 1e6
"""Stands for infinity, which JSON does not know."""

MOST_BYTES = 60e9
"""Of weights: a larger model would take this comparison many minutes."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A prepared model: what an engine loads, and what it was made of.

    `source` is a GGUF file or a folder of safetensors, None where it is not known.
    """

    engine: EngineName
    path: Path
    card: ModelCard
    source: Path | None


def recorded(settings: Settings, home: Path, engine: EngineName) -> tuple[Record, Fidelity | None]:
    """The record of the model in `home`, and what it says of this engine on this machine."""
    record = Record.read(home / RECORD)
    return record, record.measured.get(_key(settings, engine, home))


def measure(settings: Settings, home: Path, subject: Subject) -> tuple[Record, Fidelity]:
    """Compares an engine with its model and records the result, also that there is none."""
    record, dtype = Record.read(home / RECORD), number_format(settings, subject.engine)
    try:
        fidelity, probes = _compare(settings, home, subject, dtype)
    except ModelError as error:
        fidelity, probes = Fidelity(dtype, note=f"unmeasured: {error}"), ()
    record = replace(record, probes=probes or record.probes)
    record = record.with_measured(_key(settings, subject.engine, home), fidelity)
    record.write(home / RECORD)
    return record, fidelity


def is_far(fidelity: Fidelity) -> bool:
    """Whether an engine is known to answer otherwise than its model."""
    return fidelity.kl is not None and not fidelity.kl <= MOST_KL


def require_comparison(fidelity: Fidelity, name: str, settings: Settings) -> None:
    """Raises `InfidelityError` for an export that nobody has compared with its model."""
    if fidelity.kl is None and not settings.accept_infidelity:
        raise InfidelityError(
            f"model {name} was exported for OpenVINO, but not compared with its source:"
            f" {fidelity.note}"
        )


def require_fidelity(fidelity: Fidelity, engine: EngineName, name: str, settings: Settings) -> None:
    """Raises `InfidelityError` for an engine that answers otherwise than its model."""
    if settings.accept_infidelity or not is_far(fidelity):
        return
    raise InfidelityError(
        f"engine {engine} ({fidelity.dtype}) does not answer as model {name} does:"
        f" {fidelity.kl:.3g} nats a token apart, at most {MOST_KL:g}; the same most likely token"
        f" in {fidelity.top1 or 0:.0%}; take another engine or dtype, or"
        f" {variable('accept_infidelity')}=true"
    )


def _compare(
    settings: Settings, home: Path, subject: Subject, dtype: str
) -> tuple[Fidelity, tuple[Probe, ...]]:
    """Raises `ModelError` where nothing can be compared."""
    if subject.source is None:
        raise ModelError("its source is not here")
    size = _bytes(subject.source)
    if size > MOST_BYTES:
        raise ModelError(f"a model of {size / 1e9:.0f} GB takes too long to be compared")
    ids = sample_ids(subject.card)
    if len(ids) < 2:
        raise ModelError("its tokenizer knows no text")
    from batcher.fidelity.reference import reference_logprobs

    reference = reference_logprobs(subject.source, ids, subject.card.context_tokens, home)
    logits = served_logits(settings, subject.engine, subject.path, ids)
    from batcher.fidelity.comparison import compare

    width = min(reference.shape[1], logits.shape[1])  # one of them may have room for more tokens
    found = compare(reference[:, :width], logits[:, :width], ids[1:])
    fidelity = Fidelity(
        dtype,
        kl=float(f"{min(found.kl, UNBOUNDED):.4g}"),
        top1=round(found.top1, 4),
        perplexity_ratio=round(min(found.perplexity_ratio, UNBOUNDED), 5),
        tokens=len(ids),
    )
    return fidelity, probes_of(reference)


def served_logits(
    settings: Settings, engine: EngineName, path: Path, ids: Sequence[int]
) -> NDArray[np.float32]:
    """[ids, vocabulary], in the number formats that the engine serves with.

    Raises `ModelError` where the model in `path` cannot be run.
    """
    if engine == "openvino":
        from batcher.openvino_engine.pipeline import properties_of
        from batcher.openvino_engine.trial_logits import trial_logits

        return trial_logits(path, properties_of(settings), ids)
    from batcher.torch_engine.model import load_model
    from batcher.torch_engine.plain_logits import plain_logits

    return plain_logits(load_model(settings, path), ids)


def _bytes(source: Path) -> int:
    files = [source] if source.is_file() else source.glob("*.safetensors")
    return sum(file.stat().st_size for file in files)


def _key(settings: Settings, engine: EngineName, home: Path) -> str:
    versions = [version(package) for package in PACKAGES[engine]]
    exported = Exported.read(home / OPENVINO)
    made = (exported.name if exported else CONVERTED,) if engine == "openvino" else ()
    return key_of(engine, number_format(settings, engine), (*versions, *made))
