from __future__ import annotations

import pytest
import torch

from batcher.torch_engine.model_errors import model_errors
from headrace.core.errors import EngineError, ModelError


@pytest.mark.parametrize(
    "error", [IndexError("list index out of range"), AssertionError(), ImportError("no kernels")]
)
def test_whatever_a_model_trips_over_is_an_error_of_the_model(error: Exception) -> None:
    with (
        pytest.raises(ModelError, match=r"^the model m does not run: \w+"),
        model_errors("the model m does not run"),
    ):
        raise error


def test_it_is_one_line_and_not_a_screenful() -> None:
    with pytest.raises(ModelError) as raised, model_errors("no"):
        raise ValueError("a table:\n" + "| weight | missing |\n" * 100)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 320


def test_memory_that_did_not_suffice_may_suffice_later() -> None:
    with pytest.raises(EngineError, match="CUDA out of memory"), model_errors("no"):
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_an_error_that_is_said_already_stays_as_it_is() -> None:
    with pytest.raises(ModelError, match=r"^said already$"), model_errors("no"):
        raise ModelError("said already")
