"""A contender as seen from the benchmark: a process of its own, asked through a pipe."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from bench.engine_workloads import Prompt

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Batch:
    """One run of many requests. `steps` and `occupancy` are None where nobody counts them."""

    prompt_tokens: int
    output_tokens: int
    seconds: float
    steps: int | None
    occupancy: float | None

    @property
    def tokens_per_s(self) -> float:
        return self.output_tokens / self.seconds


class Contender:
    """Loads when entered; `module` is one of `bench.peers`, `log` takes what it prints."""

    def __init__(
        self,
        python: Path,
        module: str,
        log: Path,
        options: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = log.stem
        self.command = [str(python), "-m", f"bench.peers.{module}", *options]
        self._environment = {**(environment or {}), "PYTHONPATH": str(ROOT)}
        self._log = log

    def __enter__(self) -> Self:
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                env=os.environ | self._environment,
                cwd=ROOT,
            )
        self.reply()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.communicate()

    @property
    def pid(self) -> int:
        return self._process.pid

    def batch(self, prompts: Sequence[Prompt], concurrency: int) -> Batch:
        """All of them, `concurrency` at once."""
        fields = [prompt.encode() for prompt in prompts]
        return Batch(**self.ask("batch", prompts=fields, concurrency=concurrency))

    def ask(self, action: str, **fields: Any) -> dict[str, Any]:
        """Raises `RuntimeError`, with the end of its log, where it dies of the question."""
        self.begin(action, **fields)
        return self.reply()

    def begin(self, action: str, **fields: Any) -> None:
        """Asks without waiting for the reply."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": action, **fields}) + "\n")
        self._process.stdin.flush()

    def reply(self) -> dict[str, Any]:
        """Waits for the reply to what was begun. Raises `RuntimeError` as `ask` does."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._process.communicate()
            end = self._log.read_text(errors="replace").splitlines()[-5:]
            raise RuntimeError("\n".join([f"{self.name} ended", *end]))
        reply: dict[str, Any] = json.loads(line)
        return reply
