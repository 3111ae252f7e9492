"""The logprobs of a token and of its alternatives, from a row of logits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from headrace.core.types import TokenLogprobs


def token_logprobs(logits: NDArray[Any], token_id: int, count: int) -> TokenLogprobs:
    """The token's logprob and the `count` likeliest; `logits` are [vocabulary].

    The natural logarithm of the softmax in float32, before penalties, temperature and cuts.
    Equals come by rising id.
    """
    logprobs = _log_softmax(logits)
    least = np.partition(logprobs, -min(count, len(logprobs)))[-min(count, len(logprobs))]
    ids = np.flatnonzero(logprobs >= least)
    best = ids[np.argsort(-logprobs[ids], kind="stable")][:count]
    top = tuple(zip(best.tolist(), logprobs[best].tolist(), strict=True))
    return TokenLogprobs(token_id, float(logprobs[token_id]), top)


def _log_softmax(logits: NDArray[Any]) -> NDArray[np.float32]:
    shifted = logits.astype(np.float32)
    shifted -= shifted.max()
    shifted -= np.log(np.exp(shifted).sum(dtype=np.float64)).astype(np.float32)
    return shifted
