"""The logprobs of a job's tokens as they stand in an entry of its stream."""

from __future__ import annotations

import json
from collections.abc import Sequence

from headrace.core.types import TokenLogprobs


def encode_logprobs(entries: Sequence[TokenLogprobs]) -> str:
    """As JSON; '' for none."""
    encoded = [entry.encode() for entry in entries]
    return json.dumps(encoded, separators=(",", ":")) if encoded else ""


def decode_logprobs(text: bytes | None) -> tuple[TokenLogprobs, ...]:
    """None for an entry of a job that did not ask for them."""
    return tuple(map(TokenLogprobs.decode, json.loads(text))) if text else ()
