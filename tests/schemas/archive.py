"""The JSON-Schema-Test-Suite, as the source archive of `jsonschema` brings it."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

REQUIREMENT = (
    "jsonschema==4.26.0"
    " --hash=sha256:0c26707e2efad8aa1bfc5b7ce170f3fccc2e4918ff85989ba9ffa9facb2be326\n"
)
_INSIDE = "/json/tests/draft2020-12/"


@dataclass(frozen=True, slots=True)
class Case:
    """A schema with values: `tests` of the suite say which of them are `valid`."""

    name: str
    schema: Any
    tests: list[dict[str, Any]]


def fetch_cases(cache: Path) -> list[Case]:
    """All cases, optional ones among them. The archive is downloaded once; 0.4 MB."""
    archives = sorted(cache.glob("jsonschema-*.tar.gz")) or _download(cache)
    with tarfile.open(archives[0]) as tar:
        files = {
            member.name.partition(_INSIDE)[2]: tar.extractfile(member)
            for member in tar
            if _INSIDE in member.name and member.name.endswith(".json")
        }
        return [
            Case(f"{name}: {case['description']}", case["schema"], case["tests"])
            for name, file in sorted(files.items())
            if file is not None
            for case in json.load(file)
        ]


def _download(cache: Path) -> list[Path]:
    """Refuses an archive that is not the one whose hash stands above."""
    wanted = cache / "wanted.txt"
    wanted.write_text(REQUIREMENT)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    source = ["--no-deps", "--no-binary", ":all:", "--require-hashes", "-r", str(wanted)]
    subprocess.run([*pip, *source, "--dest", str(cache)], check=True)
    return sorted(cache.glob("jsonschema-*.tar.gz"))
