"""The parts of a prepared model: what is missing, and how each is made, whole or not at all."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from batcher.engine_choice import EngineName
from batcher.exported import EXPORTED, FORMS, Exported
from batcher.model_source import CONVERTED, OPENVINO_MODEL, ModelSource
from headrace.core.errors import ModelError
from headrace.core.settings import Settings

Progress = Callable[[str], None]
"""Told what is being done, in a few words, whenever that changes."""

CARD, WEIGHTS, OPENVINO = "card.jsonl", "weights", "openvino"
"""The parts of a prepared model.

A card is a line that its hash covers and a line of extras. Earlier versions keep the first one
alone, in `card.json`: they may use the same folder.
"""


@dataclass(frozen=True, slots=True)
class Parts:
    """`home` is the folder of the prepared model."""

    settings: Settings
    source: ModelSource
    home: Path
    progress: Progress

    @property
    def is_export(self) -> bool:
        """Whether OpenVINO's files are exported here."""
        return self.source.kind != "gguf" and not self.source.is_openvino

    @property
    def way(self) -> str:
        """How OpenVINO's files are made, as far as a refusal depends on it."""
        context_tokens = self.settings.max_context_tokens
        return f"{EXPORTED}, {context_tokens} tokens" if self.is_export else CONVERTED

    def make_ready(self, engine: EngineName) -> None:
        if not self.missing(engine):
            return
        _make_folder(self.home.parent)
        with self.lock():
            for part in self.missing(engine):
                self.make(part)

    def missing(self, engine: EngineName) -> list[str]:
        """The parts still to be made, in this order."""
        parts = [CARD]
        if engine == "openvino":
            parts.insert(0, OPENVINO)
        if engine == "torch" or self.source.kind == "hub":  # no other part is made of a hub
            parts.insert(0, WEIGHTS)
        return [part for part in parts if not self._is_there(part)]

    def _is_there(self, part: str) -> bool:
        """Whether all of the part is there, as this version makes it."""
        if part == OPENVINO and self.is_export:
            exported = Exported.read(self.home / OPENVINO)
            return exported is not None and exported.serves(self.settings.max_context_tokens)
        converted = CONVERTED if self.source.kind == "gguf" else OPENVINO_MODEL
        proof = {CARD: "", WEIGHTS: "config.json", OPENVINO: converted}[part]
        return (self.home / part / proof).is_file()

    def make(self, part: str, form: str = FORMS[0]) -> None:
        """Makes a part beside `home`, then moves it there. Exported weights are held in `form`."""
        home = self.home
        draft = home.with_name(f".{home.name}.draft")
        shutil.rmtree(draft, ignore_errors=True)
        try:
            draft.mkdir()
            with needed_libraries(self.source):
                self._write(part, draft / part, form)
            home.mkdir(exist_ok=True)
            _remove(home / part)
            (draft / part).rename(home / part)
        except OSError as error:
            raise ModelError(
                f"cannot prepare model {self.source.name} in {home}: {error}"
            ) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)

    def _write(self, part: str, target: Path, form: str) -> None:
        # Imported late: these libraries take seconds, and a prepared model needs none of them.
        if part == OPENVINO:
            self._write_openvino(target, form)
            return
        from batcher.model_preparation import build_card, make_weights

        if part == WEIGHTS:
            make_weights(self.source, target, self.progress)
            return
        self.progress("reading the tokenizer")
        card = build_card(self.source, self._files, self.progress)
        target.write_text(f"{card.encode()}\n{card.encode_extras()}\n")

    def _write_openvino(self, folder: Path, form: str) -> None:
        if self.source.is_openvino:
            folder.symlink_to(self._files)
        elif self.source.kind == "gguf":
            from batcher.openvino_engine.preparation import convert_gguf

            self.progress("converting the GGUF file for OpenVINO")
            convert_gguf(self._files, folder)
        else:
            from batcher.openvino_engine.export.folder import export_folder

            files, name = self._files.resolve(), self.source.name
            export_folder(self.settings, name, files, folder, form, self.progress)

    @property
    def _files(self) -> Path:
        """The source here: what was fetched of a hub's model."""
        return self.source.path or self.home / WEIGHTS

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keeps other processes from changing the parts; waits for one that does."""
        with self.home.with_name(f"{self.home.name}.lock").open("w") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                self.progress("waiting for another process that prepares this model")
                fcntl.flock(handle, fcntl.LOCK_EX)
            yield


@contextmanager
def needed_libraries(source: ModelSource) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ModelError(
            f"preparing model {source.name} needs {error.name}: pip install 'headrace[worker]'"
        ) from error


def _remove(part: Path) -> None:
    if part.is_dir() and not part.is_symlink():
        shutil.rmtree(part)
    else:
        part.unlink(missing_ok=True)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ModelError(
            f"HEADRACE_STATE_DIR: cannot make the folder of prepared models: {error}"
        ) from error
