"""One reading of a GGUF file for all who need it.

Its header holds a hundred thousand strings, which the `gguf` package takes seconds to read, and
transformers reads it again for each of tokenizer, configuration and weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import gguf

_READER = gguf.GGUFReader


@lru_cache(maxsize=1)
def _read(file: str, size: int, changed_ns: int) -> gguf.GGUFReader:
    return _READER(file)


def read_gguf(file: Path | str) -> gguf.GGUFReader:
    """The file as it is now; the last one is kept, and must not be written to."""
    state = Path(file).stat()
    return _read(str(file), state.st_size, state.st_mtime_ns)


@contextmanager
def one_reading() -> Iterator[None]:
    """While this lasts, transformers gets the reading that there is."""
    gguf.GGUFReader = read_gguf  # type: ignore[assignment, misc]
    try:
        yield
    finally:
        gguf.GGUFReader = _READER  # type: ignore[misc]
