"""Models made ready once: their weights as safetensors, their card beside them.

<models_dir>/<name>-<digest of the source>/card.json    with the model's own context length
                                          /weights/     converted, or a link to the source
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from batcher.model_source import ModelSource, resolve_source
from headrace.core.errors import ModelError
from headrace.core.model_card import ModelCard
from headrace.core.settings import Settings

Progress = Callable[[str], None]
"""Told what is being done, in a few words, whenever that changes."""


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """`folder` holds safetensors, configuration and tokenizer; `card` heeds the settings."""

    folder: Path
    card: ModelCard


def prepare_model(settings: Settings, progress: Progress) -> PreparedModel:
    """Finds, converts and describes the model of `settings.model`; the second time it only reads.

    Processes that prepare the same model at once wait for the first. A crash leaves nothing that
    counts as prepared. Raises `ModelError`, saying what was tried.
    """
    source = resolve_source(settings.model)
    home = settings.models_dir / source.key
    if not _is_prepared(home):
        _make_folder(settings.models_dir)
        with _lock(settings.models_dir / f"{source.key}.lock", progress):
            if not _is_prepared(home):
                _prepare(source, home, progress)
    card = _read_card(home / "card.json")
    context_tokens = min(card.context_tokens, settings.max_context_tokens)
    return PreparedModel((home / "weights").resolve(), replace(card, context_tokens=context_tokens))


def _is_prepared(home: Path) -> bool:
    return (home / "card.json").is_file() and (home / "weights" / "config.json").is_file()


def _read_card(file: Path) -> ModelCard:
    try:
        return ModelCard.decode(file.read_text())
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ModelError(f"cannot read the model card {file}: {error!r}; remove it") from error


def _prepare(source: ModelSource, home: Path, progress: Progress) -> None:
    # Imported here: transformers takes seconds, and a prepared model needs none of it.
    try:
        from batcher.model_preparation import build_card, make_weights
    except ImportError as error:
        raise ModelError(
            f"preparing model {source.name} needs {error.name}: pip install 'headrace[worker]'"
        ) from error

    draft = home.with_name(f".{home.name}.draft")
    shutil.rmtree(draft, ignore_errors=True)
    try:
        draft.mkdir()
        make_weights(source, draft / "weights", progress)
        progress("reading the tokenizer")
        card = build_card(source.name, draft / "weights")
        (draft / "card.json").write_text(card.encode())
        shutil.rmtree(home, ignore_errors=True)
        draft.rename(home)
    except OSError as error:
        raise ModelError(f"cannot prepare model {source.name} in {home}: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


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
