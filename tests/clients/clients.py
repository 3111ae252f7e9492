"""The clients: a script for each, run unmodified in an environment of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.environments import Environments, run

SCRIPTS = Path(__file__).parent / "scripts"
PACKAGES = "package.json"
TIMEOUT_S = 240

ALONE = {"PYTHONDONTWRITEBYTECODE": "1", "LITELLM_LOCAL_MODEL_COST_MAP": "true"}
"""Variables that keep clients from writing beside the scripts, and from asking the internet."""

PYTHON = ("llm", "litellm", "instructor", "pydantic-ai", "langchain-openai")
NODE = ("openai", "ai")


@dataclass(frozen=True)
class Site:
    """The base address that clients are given, and the name of its model."""

    base_url: str
    model: str


@dataclass(frozen=True)
class Answers:
    """A chat's text, a stream's pieces, and the fields of a structured answer."""

    chat: str
    stream: list[str]
    structured: dict[str, Any]


def ask_with_python(name: str, environments: Environments, site: Site, home: Path) -> Answers:
    """`home` is where a client may keep its files. Raises `RuntimeError`."""
    script = SCRIPTS / f"with_{name.replace('-', '_')}.py"
    variables = {"LLM_USER_PATH": str(home), **ALONE}
    return _ask(site, home, variables, environments.python(name), script)


def ask_with_node(name: str, environments: Environments, site: Site, home: Path) -> Answers:
    """The same. Node looks for packages beside a script, so it runs a copy there."""
    folder = _node_folder(environments)
    return _ask(site, home, {}, Path(_tool("node")), folder / f"with_{name}.mjs")


def _node_folder(environments: Environments) -> Path:
    """A folder with the packages of `package.json`, and the scripts as they are now."""
    folder = environments.home("node")
    wanted, stamp = (SCRIPTS / PACKAGES).read_text(), folder / "installed.json"
    if not stamp.is_file() or stamp.read_text() != wanted:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copy(SCRIPTS / PACKAGES, folder)
        options = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
        run(_tool("npm"), "install", "--prefix", str(folder), *options)
        stamp.write_text(wanted)
    for script in SCRIPTS.glob("*.mjs"):
        shutil.copy(script, folder)
    return folder


def _tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"{name} has to be on PATH (Node.js 20 or newer)")
    return found


def _ask(site: Site, home: Path, variables: Mapping[str, str], *command: Path) -> Answers:
    known = {"BASE_URL": site.base_url, "MODEL": site.model}
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=home,
        env=os.environ | known | variables,
        timeout=TIMEOUT_S,
    )
    if done.returncode:
        raise RuntimeError("\n".join([*done.stdout.splitlines(), *done.stderr.splitlines()][-30:]))
    return Answers(**json.loads(done.stdout.splitlines()[-1]))
