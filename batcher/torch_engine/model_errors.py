"""Errors of a model's own code, in one line each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from headrace.core.errors import EngineError, HeadraceError, ModelError

_LONGEST = 300
"""Characters of an error that are shown: some of transformers' fill a screen."""


@contextmanager
def model_errors(complaint: str) -> Iterator[None]:
    """Turns whatever a model trips over into a `ModelError` that begins with `complaint`.

    Memory that did not suffice is an `EngineError`: later it may.
    """
    try:
        yield
    except HeadraceError:
        raise
    except torch.OutOfMemoryError as error:
        raise EngineError(f"{complaint}: {one_line(error)}") from error
    except Exception as error:  # the code of hundreds of families, and what libraries raise
        raise ModelError(f"{complaint}: {one_line(error)}") from error


def one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."
