"""Log-probabilities that llama.cpp gives to every token, as `llama-perplexity` writes them.

Its file: `_logits_`, three 32-bit numbers (context, vocabulary, chunks), all token ids, then for
each token of the second half of a chunk but its last a row of 16-bit numbers. The first four of a
row are two 32-bit floats, scale and least; what lies 16 below the most likely is cut off there.
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

MARK = b"_logits_"
CONTEXT_STEP = 256
"""Contexts are rounded up to a multiple of this many tokens."""


def log_probabilities(
    command: Sequence[str], text: str, ids: Sequence[int], file: Path
) -> dict[str, Any]:
    """Writes those after the second half of the tokens to `file`; `command` is the program's.

    It tokenizes `text` itself, at line ends not always as transformers does: the reply has its own
    ids, as many as `ids` has, cut to whole steps of a context. Raises `RuntimeError` where it
    fails.
    """
    size = len(ids) // CONTEXT_STEP * CONTEXT_STEP
    source, raw = file.with_suffix(".txt"), file.with_suffix(".logits")
    source.write_text(f"{text} {text}")  # it wants twice as many tokens as it reads
    options = ["-f", source, "-c", size, "-b", size, "-ub", size, "--chunks", 1]
    options += ["--save-all-logits", raw]
    done = subprocess.run([*command, *map(str, options)], capture_output=True, text=True)
    if done.returncode or not raw.is_file() or raw.stat().st_size <= len(MARK) + 12:
        raise RuntimeError(f"{Path(command[0]).name}: {done.returncode} {done.stderr[-500:]}")
    found, rows = read(raw)
    np.save(file, rows)
    raw.unlink()
    return {"first": size // 2, "rows": len(rows), "ids": found[:size].tolist()}


def read(file: Path) -> tuple[np.ndarray, np.ndarray]:
    """The ids, and a row of log-probabilities for each token that has one."""
    content = file.read_bytes()
    if not content.startswith(MARK):
        raise ValueError(f"{file} is no file of logits")
    size, vocabulary, chunks = np.frombuffer(content, np.int32, 3, len(MARK))
    at = len(MARK) + 12
    ids = np.frombuffer(content, np.int32, size * chunks, at)
    width = 2 * ((vocabulary + 1) // 2) + 4
    packed = np.frombuffer(content, np.uint16, -1, at + ids.nbytes).reshape(-1, width)
    scale, least = np.ascontiguousarray(packed[:, :4]).view(np.float32).T
    codes = packed[:, 4 : 4 + vocabulary].astype(np.float32)
    return ids, codes * scale[:, None] + least[:, None]
