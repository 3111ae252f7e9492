"""The logits of a loaded model for every token of a text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray


@torch.inference_mode()
def plain_logits(model: Any, ids: Sequence[int]) -> NDArray[np.float32]:
    """[ids, vocabulary], in one forward without slots, in the model's own number format."""
    logits = model(input_ids=torch.tensor([list(ids)], device=model.device)).logits[0]
    values: NDArray[np.float32] = logits.float().cpu().numpy()
    return values
