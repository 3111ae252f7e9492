"""Asks a whole deployment for whatever its OpenAPI document allows, and for what it does not.

    python -m tests.fuzzing [--models FOLDER] [options of `schemathesis run`]

On a simulated engine that takes next to no time, with an API key: every check of schemathesis is
on, but for what tests/schemathesis.toml says. Exits with 1 where one of them failed.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.deployment import Deployment

ROOT = Path(__file__).parents[1]
LONG = ("--max-examples", "200", "--generation-database", ":memory:")
SETTINGS = {
    "HEADRACE_ENGINE": "simulated",
    "HEADRACE_SIMULATED_ALPHA_S": "0.0005",
    "HEADRACE_SIMULATED_BETA_S": "0",
    "HEADRACE_SIMULATED_GAMMA_S": "0",
    "HEADRACE_MAX_WAIT_S": "5",
}


def command(url: str, key: str, *options: str) -> list[str]:
    """Runs schemathesis; of two options the last one counts."""
    schemathesis = [sys.executable, "-m", "schemathesis.cli", "--config-file"]
    where = [str(ROOT / "tests" / "schemathesis.toml"), "run", f"{url}/openapi.json"]
    header = ["--header", f"Authorization: Bearer {key}"]
    return [*schemathesis, *where, *header, *options]


def main() -> int:
    arguments, options = _parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "models").mkdir()
        deployment = Deployment(folder, arguments.models or folder / "models", **SETTINGS)
        deployment.start()
        try:
            asked = command(deployment.url, _key(deployment), *LONG, *options)
            return subprocess.run(asked, cwd=ROOT).returncode
        finally:
            deployment.stop()
            deployment.client.close()


def _parse() -> tuple[argparse.Namespace, Sequence[str]]:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--models", type=lambda text: Path(text).absolute(), help="folder of prepared models"
    )
    return parser.parse_known_args()


def _key(deployment: Deployment) -> str:
    """One that may do everything."""
    made = [sys.executable, "-m", "headrace", "keys", "create", "--scope", "admin"]
    environment = os.environ | {"HEADRACE_STATE_DIR": str(deployment.state_dir)}
    return subprocess.check_output(made, env=environment, text=True).strip()


if __name__ == "__main__":
    sys.exit(main())
