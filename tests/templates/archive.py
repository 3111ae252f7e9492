"""Published chat templates, as llama.cpp's Python package ships them in its source archive."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

PACKAGE, VERSION = "llama-cpp-python", "0.3.36"
_INSIDE = "/vendor/llama.cpp/models/templates/"


def fetch_templates(cache: Path) -> dict[str, str]:
    """Name -> text. The archive is downloaded once; 75 MB."""
    folder = cache / f"{PACKAGE}-{VERSION}"
    if not folder.is_dir():
        _download(cache, folder)
    return {file.stem: file.read_text("utf-8") for file in sorted(folder.glob("*.jinja"))}


def _download(cache: Path, folder: Path) -> None:
    draft = folder.with_suffix(".draft")
    draft.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check"]
    source = ["--no-deps", "--no-binary", ":all:", f"{PACKAGE}=={VERSION}", "--dest", str(cache)]
    subprocess.run([*pip, *source], check=True)
    [archive] = cache.glob(f"{PACKAGE.replace('-', '_')}-{VERSION}.tar.gz")
    with tarfile.open(archive) as tar:
        for member in tar:
            content = tar.extractfile(member) if _INSIDE in member.name else None
            if content is not None:
                (draft / Path(member.name).name).write_bytes(content.read())
    archive.unlink()
    draft.rename(folder)
