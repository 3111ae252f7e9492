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
from bench.vllm_variables import vllm_variables
from headrace.core.settings import Settings, as_environment

OURS = ("openvino", "torch")
OPENVINO_READERS = ("openvino", "openvino_bare")
VLLM = ("vllm_float32", "vllm_bfloat16")
"""The two number formats of one engine; the better one counts."""

MIXED = ("openvino_bare", "openvino", "static", "torch", *VLLM)
"""Those that run the mixed requests; the others run only the equal ones."""

ALL = ("openvino_bare", "openvino", "static", "torch", "generate_batch", *VLLM, "llama_cpp")
MODULES = {"static": "static_generate"} | dict.fromkeys(VLLM, "vllm_engine")
"""The module of those that are not called as it is."""


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
            yield {name: stack.enter_context(self.contender(name, slots)) for name in names}

    def contender(self, name: str, slots: int) -> Contender:
        """One that has not been started."""
        options = ["--slots", str(slots), "--threads", str(self.settings.threads)]
        options += ["--step-tokens", str(self.settings.prefill_tokens)]
        options += self._model_options(name)
        return Contender(
            self._python(name),
            MODULES.get(name, "headrace_engine" if name in OURS else name),
            self.logs / f"{name}.log",
            options,
            self._variables(name),
        )

    def _model_options(self, name: str) -> list[str]:
        if name in OURS:
            return ["--engine", name]
        if name == "llama_cpp":
            return ["--model", str(self.model.gguf), "--binary", str(self.batched_bench)]
        if name in OPENVINO_READERS:
            return ["--model", str(self.model.openvino)]
        dtype = ["--dtype", name.removeprefix("vllm_")] if name in VLLM else []
        return ["--model", str(self.model.folder), *dtype]

    def _python(self, name: str) -> Path:
        if name in OURS or name == "llama_cpp":
            return Path(sys.executable)
        if name in VLLM:
            return self.environments.python("vllm")
        where = "openvino" if name in OPENVINO_READERS else "transformers"
        return self.environments.python(where)

    def _variables(self, name: str) -> dict[str, str]:
        if name in OURS:
            return as_environment(self.settings)
        if name in VLLM:
            return vllm_variables(self.environments.home("vllm"), self.settings.threads)
        return {}
