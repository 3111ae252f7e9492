"""All contenders of the engine benchmark: where each runs, and what it is started with."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.engine_contender import Contender
from bench.engine_model import ModelFiles
from bench.environments import Environments
from headrace.core.settings import Settings, as_environment

OURS = ("openvino", "torch")
GGUF_READERS = ("openvino", "openvino_bare", "llama_cpp")
MIXED = ("openvino_bare", "openvino", "static", "torch")
"""Those that run the mixed requests; the others run only the equal ones."""
ALL = ("openvino_bare", "openvino", "static", "torch", "generate_batch", "llama_cpp")


@dataclass(frozen=True)
class Crew:
    """`batched_bench` is llama.cpp's program, None where it takes no part."""

    settings: Settings
    model: ModelFiles
    environments: Environments
    logs: Path
    batched_bench: Path | None = None

    @contextmanager
    def loaded(self, names: Sequence[str], slots: int) -> Iterator[dict[str, Contender]]:
        """Processes with `slots` slots, one loading after another. Raises `RuntimeError`."""
        with ExitStack() as stack:
            yield {name: stack.enter_context(self._contender(name, slots)) for name in names}

    def _contender(self, name: str, slots: int) -> Contender:
        options = ["--slots", str(slots), "--threads", str(self.settings.threads)]
        options += ["--step-tokens", str(self.settings.prefill_tokens)]
        log = self.logs / f"{name}.log"
        if name in OURS:
            options += ["--engine", name]
            return Contender(
                Path(sys.executable), "headrace_engine", log, options, as_environment(self.settings)
            )
        if name in GGUF_READERS:
            options += ["--model", str(self.model.gguf)]
        else:
            options += ["--model", str(self.model.folder)]
        if name == "llama_cpp":
            options += ["--binary", str(self.batched_bench)]
            return Contender(Path(sys.executable), name, log, options)
        module = {"static": "static_generate"}.get(name, name)
        where = "openvino" if name == "openvino_bare" else "transformers"
        return Contender(self.environments.python(where), module, log, options)
